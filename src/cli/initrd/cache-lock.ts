import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import type { Resources } from '../../base/disposal.ts';
import { acquireLock } from '../../engine/lock.ts';
import { clearRemains, pruneSegments } from '../../initrd/prune.ts';
import type { SegmentCache } from '../../initrd/segment-cache.ts';
import { openSegmentCache } from '../../initrd/segment-cache.ts';
import type { VerbContext } from '../verb.ts';

/**
 * Opens the cache of segments for a process that has something to make, until the resources are disposed of. Of two such
 * processes, the second waits and then finds its work done; so what a killed one left behind belongs to nobody.
 */
export async function openLocked(
  held: Resources,
  cache: HostPath,
  context: Pick<VerbContext, 'events' | 'signal'>,
): Promise<SegmentCache> {
  const segments = await openSegmentCache(cache);
  held.use(await lockCache(cache, context));
  await clearRemains(cache);
  await pruneSegments(cache);
  return segments;
}

/** Waits until no other process makes anything below the cache. */
export async function lockCache(
  cache: HostPath,
  { events, signal }: Pick<VerbContext, 'events' | 'signal'>,
): Promise<AsyncDisposable> {
  return acquireLock(join(cache, 'lock'), {
    signal,
    onWait: (pid) => {
      const message = `Waiting for another mkimg (process ${pid}) that makes an initrd`;
      events.emit({ type: 'note', level: 'info', code: 'waiting', message });
    },
  });
}
