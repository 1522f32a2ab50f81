import type { HostPath } from '../base/brand.ts';

/** A program that a configuration asks to be run: an executable mkimg.version, a configure script. */
export interface ProgramRequest {
  /** An absolute path, or a name to look up in PATH. */
  readonly program: string;
  readonly argv: readonly string[];
  readonly directory: HostPath;
  /** What it reads from its standard input. */
  readonly input?: string;
  /** In addition to that of the process that called mkimg. */
  readonly environment?: Readonly<Record<string, string>>;
}

export type ProgramOutcome =
  | { readonly ok: true; readonly output: string }
  /** `reason` ends a sentence: `exit status 3: no such file`. */
  | { readonly ok: false; readonly reason: string };

export type RunProgram = (request: ProgramRequest) => Promise<ProgramOutcome>;

/**
 * Programs and their outputs. Reading a configuration runs nothing: it asks here for outputs, and what is not known yet is
 * noted, run afterwards, and then the configuration is read anew.
 */
export interface Programs {
  /** undefined while the program has not been run; `refused` where none may be run. */
  ask(request: ProgramRequest): ProgramOutcome | 'refused' | undefined;
  /** Runs what was asked for since; false when that was nothing. */
  runPending(): Promise<boolean>;
}

export function programs(run: RunProgram | undefined): Programs {
  const outcomes = new Map<string, ProgramOutcome>();
  const pending = new Map<string, ProgramRequest>();
  return {
    ask: (request) => {
      if (run === undefined) return 'refused';
      const key = JSON.stringify(request);
      const known = outcomes.get(key);
      if (known === undefined) pending.set(key, request);
      return known;
    },
    runPending: async () => {
      if (run === undefined || pending.size === 0) return false;
      for (const [key, request] of pending) outcomes.set(key, await run(request));
      pending.clear();
      return true;
    },
  };
}
