import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import type { Resources } from '../../base/disposal.ts';
import { isErrno, isOfFullDisk, MkimgError } from '../../base/errors.ts';
import type { EventSink } from '../../base/events.ts';
import { makeDirectory } from '../../base/files.ts';
import { acquireLock, removeStaleLocks } from '../../engine/lock.ts';
import { clearRemains, pruneSegments } from '../../initrd/prune.ts';
import type { SegmentCache } from '../../initrd/segment-cache.ts';
import { openSegmentCache } from '../../initrd/segment-cache.ts';
import type { VerbContext } from '../verb.ts';

/**
 * Opens the cache of segments for a process that has something to make, until the resources are disposed of. Of two such
 * processes, the second waits and then finds its work done; so what a killed one left behind belongs to nobody.
 * @throws MkimgError `cache-not-writable`, `cache-full`
 */
export async function openLocked(
  held: Resources,
  cache: HostPath,
  context: Pick<VerbContext, 'events' | 'signal'>,
): Promise<SegmentCache> {
  held.use(await lockCache(cache, context));
  return inCache(cache, async () => {
    await pruneSegments(cache);
    return openSegmentCache(cache, ({ path }) => noteDamage(path, context.events));
  });
}

/**
 * Waits until no other process makes anything below the cache, and clears away what killed ones left there.
 * @throws MkimgError `cache-not-writable`, `cache-full`
 */
export async function lockCache(
  cache: HostPath,
  { events, signal }: Pick<VerbContext, 'events' | 'signal'>,
): Promise<AsyncDisposable> {
  return inCache(cache, async () => {
    await makeDirectory(cache, 0o700);
    await makeDirectory(lockDirectory(cache), 0o700);
    const lock = await acquireLock(join(lockDirectory(cache), 'initrd'), {
      signal,
      onWait: (pid) => {
        const message = `Waiting for another mkimg (process ${pid}) that makes an initrd`;
        events.emit({ type: 'note', level: 'info', code: 'waiting', message });
      },
    });
    try {
      await clearRemains(cache);
      await removeStaleLocks(lockDirectory(cache));
      return lock;
    } catch (error) {
      await lock[Symbol.asyncDispose]();
      throw error;
    }
  });
}

async function inCache<T>(cache: HostPath, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw isErrno(error, 'EACCES', 'EPERM', 'ENOTDIR', 'EEXIST')
      ? notWritable(cache, error)
      : faultOfCache(error, cache);
  }
}

/**
 * What failed because the cache cannot take any more, as an error that says so; other errors as they are. For work that
 * writes nowhere else.
 */
export function faultOfCache(error: unknown, cache: HostPath): unknown {
  if (isErrno(error, 'ENOSPC', 'EDQUOT') || (error instanceof MkimgError && isOfFullDisk(error))) {
    return new MkimgError('cache-full', `No space left in the cache directory ${cache}`, {
      hint: "Make room, for example with 'mkimg cache prune'. The initrd that is there was not changed.",
      cause: error,
      ...(error instanceof MkimgError ? { tail: error.tail } : {}),
    });
  }
  return isErrno(error, 'EROFS') ? notWritable(cache, error) : error;
}

function notWritable(cache: HostPath, cause: unknown): MkimgError {
  return new MkimgError('cache-not-writable', `Cannot write to the cache directory ${cache}`, {
    hint: 'Name a directory of yours with --cache-directory or $XDG_CACHE_HOME.',
    class: 'usage',
    cause,
  });
}

function lockDirectory(cache: HostPath): string {
  return join(cache, 'locks');
}

/** Says that a part is made again because it is not what it was. */
export function noteDamage(path: string, events: EventSink): void {
  events.emit({
    ...{ type: 'note', level: 'warning', code: 'cache-damaged' },
    message: `The cached part ${path} is not what was stored: it is made again`,
  });
}
