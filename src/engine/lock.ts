import { randomBytes } from 'node:crypto';
import { linkSync } from 'node:fs';
import { mkdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HostPath } from '../base/brand.ts';
import { byBytes } from '../base/canonical.ts';
import { isErrno } from '../base/errors.ts';
import { modifiedAt, namesIn } from '../base/files.ts';
import { currentOwner, formatOwner, isAlive, parseOwner } from '../base/owner.ts';

/*
 * Node has no flock(2), so a lock is a file that names its owner. It is made by link(2), which is atomic and brings the
 * content along. A lock whose owner is dead is removed by whoever holds a second lock, that for clearing the first, and
 * then the race for link(2) begins anew. All that locks guard here is also safe without them (commits and publishing are
 * renames): they save double work and give the user a word about waiting. So a file system without hard links has none.
 */

export interface LockOptions {
  /** Called once, when a lock is held by another process. */
  readonly onWait?: (pid: number) => void;
  readonly signal?: AbortSignal;
}

/** Most locks are held for a moment (clearing, publishing) or for minutes (a step): waiting begins short and gets longer. */
const firstPollMilliseconds = 2;
const longestPollMilliseconds = 100;

/** Waits until this process holds the lock `path`; released by disposal, or by the process's death. */
export function acquireLock(path: string, options: LockOptions = {}): Promise<AsyncDisposable> {
  return acquireLocks([path], options);
}

/**
 * Waits until this process holds all of the locks, which are taken in one order by everybody, so that two processes never
 * wait for each other. Their directories exist.
 */
export async function acquireLocks(
  paths: readonly string[],
  options: LockOptions = {},
): Promise<AsyncDisposable> {
  const [first, ...others] = [...new Set(paths)].sort(byBytes);
  if (first === undefined) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  const token = `${formatOwner(currentOwner())}.${randomBytes(6).toString('hex')}`;
  const own = `${first}.${token}`;
  await writeFile(own, token, { flag: 'wx' });
  const held: string[] = [];
  const releaseAll = async (): Promise<void> => {
    clearInterval(beating);
    await Promise.all(held.map((path) => release(path, token)));
  };
  // Those who cannot look the owner up, in another pid namespace, see that it lives.
  const beating = setInterval(() => {
    for (const path of held) void beat(path);
  }, beatMilliseconds).unref();
  try {
    const onWait = once(options.onWait);
    for (const path of [first, ...others]) {
      if (await waitForLink(own, path, { ...options, onWait })) held.push(path);
    }
  } catch (error) {
    await releaseAll();
    throw error;
  } finally {
    await rm(own, { force: true });
  }
  return { [Symbol.asyncDispose]: releaseAll };
}

function once(callback: LockOptions['onWait']): (pid: number) => void {
  let called = false;
  return (pid) => {
    if (!called) callback?.(pid);
    called = true;
  };
}

/** Returns false where the file system has no hard links. */
async function waitForLink(own: string, path: string, { onWait, signal }: LockOptions): Promise<boolean> {
  for (let pause = firstPollMilliseconds; ; pause = Math.min(2 * pause, longestPollMilliseconds)) {
    signal?.throwIfAborted();
    const outcome = tryLink(own, path);
    if (outcome !== 'taken') return outcome === 'held';
    const holder = await livingHolder(path);
    if (holder === undefined) continue;
    onWait?.(holder);
    await sleep(pause, undefined, signal === undefined ? {} : { signal });
  }
}

const beatMilliseconds = 10_000;
/** How long a lock whose owner cannot be looked up is taken for held after its last beat. */
const beatTrustMilliseconds = 60_000;

async function beat(path: string): Promise<void> {
  const now = new Date();
  // Without the lock there is nothing left to say.
  await utimes(path, now, now).catch(() => undefined);
}

function tryLink(own: string, path: string): 'held' | 'taken' | 'unsupported' {
  try {
    linkSync(own, path);
    return 'held';
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return 'taken';
    if (isErrno(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK')) return 'unsupported';
    throw error;
  }
}

/** The process id of whoever holds the lock; undefined when it is free, after clearing away a dead owner's lock. */
async function livingHolder(path: string): Promise<number | undefined> {
  try {
    const text = await readFile(path, 'utf8');
    const owner = parseOwner(text);
    if (owner !== undefined && isAlive(owner, (await stat(path)).mtimeMs, beatTrustMilliseconds))
      return owner.pid;
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

/** Removes what killed processes left in a directory of locks. */
export async function removeStaleLocks(directory: string): Promise<void> {
  for (const name of await namesIn(directory)) {
    const path = join(directory, name);
    // NAME.OWNER is a lock that was about to be taken.
    const waiting = parseOwner(name.slice(name.indexOf('.') + 1));
    const since = await modifiedAt(path);
    if (since === undefined) continue;
    if (waiting === undefined) await livingHolder(path);
    else if (!isAlive(waiting, since)) await rm(path, { force: true });
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
