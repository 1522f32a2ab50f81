import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath, StepId } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import { isObject, sha256 } from '../base/canonical.ts';
import { makeDirectory, modifiedAt, namesIn, readTextIfExists, writeCacheFile } from '../base/files.ts';
import type { StepIdentity } from './key.ts';
import { identityJson } from './key.ts';

/** A step as it was when its result was last made or found. */
export interface PastStep {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** What its key was computed from. */
  readonly identity: Json;
}

/**
 * What the steps of one project were made from last time: the answer to why something is made anew. The past stays as it
 * was when the history was opened.
 */
export interface History {
  past(step: StepId): PastStep | undefined;
  /** What was noted since the history was opened. */
  noted(step: StepId): StepIdentity | undefined;
  note(step: StepId, identity: StepIdentity): void;
  /** Writes down what was noted. */
  save(): Promise<void>;
}

const keepMilliseconds = 90 * 24 * 60 * 60 * 1000;

/** Opens the history of the project in `project`, below the cache's `state`. A damaged one counts as empty. */
export async function openHistory(state: HostPath, project: HostPath): Promise<History> {
  const directory = hostPath(join(state, 'history'));
  const file = join(directory, `${sha256(project)}.json`);
  const steps = parse(await readTextIfExists(file));
  const noted = new Map<StepId, StepIdentity>();
  return {
    past: (step) => steps.get(step),
    noted: (step) => noted.get(step),
    note: (step, identity) => void noted.set(step, identity),
    save: async () => {
      if (noted.size === 0) return;
      const at = Date.now();
      const recent = [...noted].map(
        ([step, identity]) => [step, { at, identity: identityJson(identity) }] as const,
      );
      await makeDirectory(directory, 0o700);
      await removeOld(directory);
      const all = new Map<string, PastStep>([...steps, ...recent]);
      await writeCacheFile(file, `${JSON.stringify(Object.fromEntries(all))}\n`, 0o600);
    },
  };
}

function parse(text: string | undefined): Map<string, PastStep> {
  if (text === undefined) return new Map();
  try {
    const value: unknown = JSON.parse(text);
    return new Map(isObject(value) ? Object.entries(value).filter(isPastStep) : []);
  } catch (error) {
    if (error instanceof SyntaxError) return new Map();
    throw error;
  }
}

function isPastStep(entry: [string, unknown]): entry is [string, PastStep] {
  const [, value] = entry;
  return isObject(value) && typeof value['at'] === 'number' && isObject(value['identity']);
}

/** Projects come and go. */
async function removeOld(directory: string): Promise<void> {
  for (const name of await namesIn(directory)) {
    const path = join(directory, name);
    const modified = await modifiedAt(path);
    if (modified !== undefined && Date.now() - modified > keepMilliseconds) await rm(path, { force: true });
  }
}
