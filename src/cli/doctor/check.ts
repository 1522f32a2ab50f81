import type { HostFacts } from '../../config/setting.ts';
import type { CacheLayout } from '../../engine/layout.ts';

/** `lacking`: something works less well, or not at all; `broken`: no image can be built. */
export type Verdict = 'good' | 'lacking' | 'broken' | 'unknown';

/** What was found out about one thing that this machine can or cannot do. */
export interface Finding {
  /** Stable, for programs: `kvm`, `tool:xz`. */
  readonly name: string;
  readonly verdict: Verdict;
  /** One line. */
  readonly summary: string;
  /** The one command, or the one deed, that mends it. */
  readonly fix?: string;
}

/** What checks have in common. */
export interface Surroundings {
  readonly host: HostFacts;
  /** On the machine, also inside a user namespace. */
  readonly uid: number;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly cache: CacheLayout;
  /** Nothing may take longer. */
  readonly signal: AbortSignal;
}

/** A question to this machine. What it throws counts as an answer that nobody knows. */
export interface Check {
  readonly name: string;
  run(surroundings: Surroundings): Promise<readonly Finding[]>;
}

/** A finding with its verdict: `good('kvm', 'guests run')`. */
export function good(name: string, summary: string): Finding {
  return { name, verdict: 'good', summary };
}

export function lacking(name: string, summary: string, fix?: string): Finding {
  return { name, verdict: 'lacking', summary, ...(fix !== undefined && { fix }) };
}

export function broken(name: string, summary: string, fix?: string): Finding {
  return { name, verdict: 'broken', summary, ...(fix !== undefined && { fix }) };
}

export function unknown(name: string, summary: string, fix?: string): Finding {
  return { name, verdict: 'unknown', summary, ...(fix !== undefined && { fix }) };
}
