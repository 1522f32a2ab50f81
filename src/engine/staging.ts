import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { isErrno } from '../base/errors.ts';
import { silentEvents } from '../base/events.ts';
import { modifiedAt } from '../base/files.ts';
import { currentOwner, formatOwner, isAlive, parseOwner } from '../base/owner.ts';
import { findOnPath } from '../sandbox/lookup.ts';
import { runProgram } from '../sandbox/process.ts';

/**
 * A place for one result that is being made, on the store's file system. Disposal removes what was not committed. The
 * directory's name says whose it is; removeStaleStages() clears away what killed processes left.
 */
export interface Stage extends AsyncDisposable {
  readonly directory: HostPath;
  /** Becomes the store entry: the artifact goes into it, then the record. */
  readonly entry: HostPath;
  /** For the overlay that an artifact of layers is made with (overlayfs wants it empty and beside the upper directory). */
  readonly overlayWork: HostPath;
  /** Where trees are mounted. */
  readonly mountPoint: HostPath;
  /** A new empty directory for a step to work in. */
  scratch(): Promise<HostPath>;
  /** Leaves the stage to the next run's removeStaleStages(), so that the user can look at what failed. */
  keep(): void;
}

/** Makes a new stage below `staging`. */
export async function createStage(staging: HostPath): Promise<Stage> {
  const name = `${formatOwner(currentOwner())}.${randomBytes(6).toString('hex')}`;
  const directory = hostPath(join(staging, name));
  await mkdir(directory, { mode: 0o700 });
  const place = (part: string): HostPath => hostPath(join(directory, part));
  for (const part of ['entry', 'overlay', 'root']) await mkdir(place(part));
  let scratches = 0;
  let kept = false;
  return {
    directory,
    entry: place('entry'),
    overlayWork: place('overlay'),
    mountPoint: place('root'),
    scratch: async () => {
      scratches += 1;
      const path = place(`work${scratches}`);
      await mkdir(path);
      return path;
    },
    keep: () => {
      kept = true;
    },
    [Symbol.asyncDispose]: () => (kept ? Promise.resolve() : removeTree(directory)),
  };
}

/** Removes the stages of processes that are gone; returns how many there were. */
export async function removeStaleStages(staging: HostPath): Promise<number> {
  let removed = 0;
  for (const name of await readdir(staging)) {
    const path = join(staging, name);
    const owner = parseOwner(name);
    if (owner !== undefined && isAlive(owner, (await modifiedAt(path)) ?? 0)) continue;
    await removeTree(path);
    removed += 1;
  }
  return removed;
}

/**
 * Removes a directory with all that is in it, never following links. In a user namespace this must run inside, where
 * files of subordinate ids are ours.
 */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    if (!isErrno(error, 'EACCES', 'EPERM')) throw error;
    await makeWritable(path);
    await rm(path, { recursive: true, force: true });
  }
}

/**
 * removeTree() of thousands of files, by rm(1) at the lowest priority: as calls of node, one for each file, they fill the
 * threads that everything else waits for.
 */
export async function removeLargeTree(path: string): Promise<void> {
  const [nice, rm] = await Promise.all([findOnPath('nice'), findOnPath('rm')]);
  if (nice !== undefined && rm !== undefined) {
    const argv = [nice, '-n', '19', rm, '-rf', '--', path] as const;
    await runProgram({ argv, tool: 'rm', env: { LANG: 'C.UTF-8' }, events: silentEvents });
  }
  // Says why, where rm could not.
  await removeTree(path);
}

/** Images hold directories without write permission; their owner must give it to himself before he can empty them. */
async function makeWritable(path: string): Promise<void> {
  await chmod(path, 0o700);
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.isDirectory()) await makeWritable(join(path, entry.name));
  }
}
