import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HostPath } from '../base/brand.ts';
import { isErrno } from '../base/errors.ts';
import { modifiedAt, namesIn } from '../base/files.ts';
import { currentOwner, formatOwner, isAlive, parseOwner } from '../base/owner.ts';

/*
 * Node has no flock(2), so a lock is a file that names its owner. It is made by link(2), which is atomic and brings the
 * content along. A lock whose owner is dead is removed by whoever holds a second lock, that for clearing the first, and
 * then the race for link(2) begins anew. All that locks guard here is also safe without them (commits and publishing are renames):
 * they save double work and give the user a word about waiting.
 */

export interface LockOptions {
  /** Called once, when the lock is held by another process. */
  readonly onWait?: (pid: number) => void;
  readonly signal?: AbortSignal;
}

const pollMilliseconds = 100;

/** Waits until this process holds the lock `path`; released by disposal, or by the process's death. */
export async function acquireLock(path: string, options: LockOptions = {}): Promise<AsyncDisposable> {
  const token = `${formatOwner(currentOwner())}.${randomBytes(6).toString('hex')}`;
  const own = `${path}.${token}`;
  await writeFile(own, token, { flag: 'wx' });
  let announced = false;
  try {
    for (;;) {
      options.signal?.throwIfAborted();
      if (await tryLink(own, path)) break;
      const holder = await livingHolder(path);
      if (holder === undefined) continue;
      if (!announced) options.onWait?.(holder);
      announced = true;
      await sleep(
        pollMilliseconds,
        undefined,
        options.signal === undefined ? {} : { signal: options.signal },
      );
    }
  } finally {
    await rm(own, { force: true });
  }
  return { [Symbol.asyncDispose]: () => release(path, token) };
}

async function tryLink(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path);
    return true;
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false;
    throw error;
  }
}

/** The process id of whoever holds the lock; undefined when it is free, after clearing away a dead owner's lock. */
async function livingHolder(path: string): Promise<number | undefined> {
  try {
    const text = await readFile(path, 'utf8');
    const owner = parseOwner(text);
    if (owner !== undefined && isAlive(owner, (await stat(path)).mtimeMs)) return owner.pid;
    await clearStale(path, text);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
  return undefined;
}

/** Removes the lock of a dead owner, while no other process does: a new lock is never taken for the one that was read. */
async function clearStale(path: string, expected: string): Promise<void> {
  await using _clearing = await acquireLock(`${path}.clearing`);
  if ((await readFile(path, 'utf8')) === expected) await rm(path);
}

async function release(path: string, token: string): Promise<void> {
  try {
    if ((await readFile(path, 'utf8')) === token) await rm(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

/** Puts a mark into `directory` that says: a build of this process is running since now. */
export async function markRunning(directory: HostPath): Promise<AsyncDisposable> {
  await mkdir(directory, { recursive: true });
  const path = join(directory, `${formatOwner(currentOwner())}.${randomBytes(4).toString('hex')}`);
  await writeFile(path, '', { flag: 'wx' });
  return { [Symbol.asyncDispose]: () => rm(path, { force: true }) };
}

/** A build that runs now. */
export interface RunningBuild {
  readonly pid: number;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

/** All running builds; marks of dead processes are removed. */
export async function runningBuilds(directory: HostPath): Promise<readonly RunningBuild[]> {
  const running: RunningBuild[] = [];
  for (const name of await namesIn(directory)) {
    const path = join(directory, name);
    const since = await modifiedAt(path);
    if (since === undefined) continue;
    const owner = parseOwner(name);
    if (owner === undefined || !isAlive(owner, since)) await rm(path, { force: true });
    else running.push({ pid: owner.pid, since });
  }
  return running;
}
