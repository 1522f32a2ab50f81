import { statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { amended, isErrno, isOfFullDisk, MkimgError } from '../base/errors.ts';
import { shellCommand } from '../sandbox/text.ts';
import type { HostPath } from '../base/brand.ts';
import type { Step } from '../plan/step.ts';
import type { Stage } from './staging.ts';
import type { Store } from './store.ts';

/**
 * Turns "no space left" of our own writes and of tools into one error that says which file system is full. Other errors
 * come back as they are.
 * @param directories where the run writes: the cache, the output directory
 */
export async function explainFault(error: unknown, ...directories: readonly HostPath[]): Promise<unknown> {
  const ours = isErrno(error, 'ENOSPC', 'EDQUOT');
  const tools = error instanceof MkimgError && error.code !== 'disk-full' && isOfFullDisk(error);
  if (!ours && !tools) return error;
  const places = await Promise.all([...directories, '/var/tmp', '/tmp'].map(freeSpace));
  const fullest = places.reduce((least, place) => (place.free < least.free ? place : least));
  // A script may have filled a file system of its own.
  if (!ours && fullest.free > roomy) return error;
  const { path, free } = fullest;
  return new MkimgError('disk-full', `No space left on the file system of ${path} (${free} bytes free)`, {
    hint: "Make room with 'mkimg cache prune' (with --all: everything that no running build uses), or choose another place with CacheDirectory= or OutputDirectory=.",
    ...(error instanceof MkimgError ? { tail: error.tail } : {}),
    cause: error,
  });
}

/** What a step that ran out of space may need. */
export interface StepNeeds {
  /** What it says itself. */
  readonly stated: () => Promise<number | undefined>;
  /** Bytes of what it is made from. */
  readonly made: () => Promise<number>;
}

/**
 * The same for what stopped a step; says also how much it needs: what its last result took, as far as the store knows one,
 * or what can be told of one that was never made.
 */
export async function explainStepFault(
  error: unknown,
  { store, step, needs }: { store: Store; step: Pick<Step, 'kind' | 'label'>; needs: StepNeeds },
): Promise<unknown> {
  const fault = await explainFault(error, store.layout.root);
  if (!(fault instanceof MkimgError) || fault.code !== 'disk-full') return fault;
  const needed = await describeNeeds(step, store, needs);
  return needed === undefined ? fault : amended(fault, { message: `${fault.message}; ${needed}` });
}

async function describeNeeds(
  { kind, label }: Pick<Step, 'kind' | 'label'>,
  store: Store,
  { stated, made }: StepNeeds,
): Promise<string | undefined> {
  const records = await Promise.all((await store.keys()).map(async (key) => (await store.find(key))?.record));
  const [last] = records
    .filter((record) => record?.kind === kind && record.label === label)
    .sort((left, right) => (right?.createdAt ?? 0) - (left?.createdAt ?? 0));
  if (last !== undefined) return `the last result of '${label}' took ${last.bytes} bytes`;
  const bytes = await stated();
  if (bytes !== undefined) return `'${label}' needs about ${bytes} bytes`;
  const sources = await made();
  return sources === 0 ? undefined : `'${label}' is made from ${sources} bytes`;
}

/** With this many bytes left, a step may still have run out of space: what it wrote is removed when it fails. */
const roomy = 4 * 2 ** 30;

async function freeSpace(path: string): Promise<{ path: string; free: number }> {
  const { bavail, bsize } = await statfs(path);
  return { path, free: bavail * bsize };
}

/**
 * Keeps the stage of a failed step for the command line that leads into its sandbox. That line is several thousand
 * characters long, so it goes into a script there, and the user gets a short one.
 */
export async function keepSandbox(error: unknown, stage: Stage): Promise<unknown> {
  if (!(error instanceof MkimgError) || error.reenter === undefined) return error;
  const script = join(stage.directory, 'enter');
  await writeFile(script, `exec ${error.reenter}\n`, { mode: 0o700 });
  stage.keep();
  return amended(error, { reenter: shellCommand(['sh', script]) });
}

/** The error of a run that the user stopped. */
export function interruption(reason: unknown): MkimgError {
  if (reason instanceof MkimgError && reason.class === 'interrupted') return reason;
  return new MkimgError('interrupted', 'interrupted', { class: 'interrupted', cause: reason });
}
