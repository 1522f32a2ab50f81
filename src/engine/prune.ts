import { join } from 'node:path';
import { mkdir } from 'node:fs/promises';
import type { HostPath, StepKey } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import type { EventSink } from '../base/events.ts';
import { modifiedAt, writeCacheFile } from '../base/files.ts';
import type { CacheLayout } from './layout.ts';
import { acquireLock, markRunning, removeStaleLocks, runningBuilds } from './lock.ts';
import { entryPath, wasMoved } from './moved.ts';
import { listPool, removeFiles } from './package-pool.ts';
import { listProjects } from './projects.ts';
import { removeStaleStages } from './staging.ts';
import type { Entry, Store } from './store.ts';

/** One entry, as `mkimg cache` shows it. */
export interface StoredEntry {
  readonly key: StepKey;
  /** Absent for what is no readable entry. */
  readonly entry: Entry | undefined;
  /** The artifact was moved into an output directory; without `entry`, it is not there any more. */
  readonly moved: boolean;
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly lastUsed: number;
  /** When a build took it up itself, in the same unit. */
  readonly touched: number;
}

/** What to remove; an entry goes when any of the limits says so. */
export interface PruneLimits {
  /** Milliseconds since the last use. */
  readonly olderThan?: number;
  /** Bytes that may stay, packages included; what was not used for the longest time goes first. */
  readonly maximumBytes?: number;
  readonly all?: boolean;
}

export interface PruneResult {
  readonly removed: number;
  readonly bytes: number;
  /** Entries that had to stay because a running build may use them. */
  readonly inUse: number;
  readonly packages: { readonly removed: number; readonly bytes: number };
}

export interface BuildScope {
  readonly store: Store;
  readonly events: EventSink;
  readonly signal: AbortSignal;
}

/**
 * Announces a build: until disposal, nothing that is used from now on is pruned. Waits while a prune is going on, and
 * clears away what killed builds left.
 */
export async function beginBuild({ store, events, signal }: BuildScope): Promise<AsyncDisposable> {
  const { state, staging } = store.layout;
  const mark = await markRunning(runningDirectory(state));
  try {
    // First the mark, then the lock: of a build and a prune that begin together, one sees the other.
    await using _idle = await acquireLock(await pruneLock(state), {
      signal,
      onWait: (pid) => {
        events.emit({
          ...{ type: 'note', level: 'info', code: 'waiting' },
          message: `Waiting for process ${pid}, which is trimming the cache`,
        });
      },
    });
    await removeStaleStages(staging);
    await removeStaleLocks(join(state, 'locks'));
    // Removes the marks of killed builds on its way.
    await runningBuilds(runningDirectory(state));
  } catch (error) {
    await mark[Symbol.asyncDispose]();
    throw error;
  }
  return mark;
}

/**
 * Takes something out of the store that other builds might be about to read: calls `action` while no other build runs and
 * none can begin; false when there are others. Only inside beginBuild().
 */
export async function whileAlone(
  { store, signal }: Omit<BuildScope, 'events'>,
  action: () => Promise<void>,
): Promise<boolean> {
  const { state } = store.layout;
  await using _lock = await acquireLock(await pruneLock(state), { signal });
  const running = await runningBuilds(runningDirectory(state));
  if (running.some(({ pid }) => pid !== process.pid)) return false;
  await action();
  return true;
}

function runningDirectory(state: HostPath): HostPath {
  return hostPath(join(state, 'running'));
}

async function pruneLock(state: HostPath): Promise<string> {
  const directory = join(state, 'locks');
  await mkdir(directory, { recursive: true });
  return join(directory, 'prune');
}

/**
 * All entries, the one that was not used for the longest time first. What a project stands on counts as used when the
 * project was, also where a build found its outputs up to date and so looked at nothing else. Times in the future, from
 * before the clock was set back, count as now.
 */
export async function listEntries(store: Store): Promise<readonly StoredEntry[]> {
  const { layout } = store;
  const usedByProject = new Map<StepKey, number>();
  // The latest comes first.
  for (const { keys, lastUsed } of await listProjects(layout.state)) {
    for (const key of keys) if (!usedByProject.has(key)) usedByProject.set(key, lastUsed);
  }
  const entries: StoredEntry[] = [];
  for (const key of await store.keys()) {
    const entry = await store.find(key);
    const touched = (await modifiedAt(recordPath(layout, key))) ?? 0;
    const lastUsed = Math.min(Date.now(), Math.max(touched, usedByProject.get(key) ?? 0));
    const moved = await wasMoved(layout, key);
    entries.push({ key, entry, moved, bytes: moved ? 0 : (entry?.record.bytes ?? 0), lastUsed, touched });
  }
  return entries.sort((left, right) => left.lastUsed - right.lastUsed);
}

function recordPath(layout: CacheLayout, key: StepKey): string {
  return join(entryPath(layout, key), 'record.json');
}

/**
 * Removes entries and downloaded packages. A layer stays as long as a tree stays that stands on it, and what a running
 * build has used stays. In a user namespace this must run inside, because trees hold files of subordinate ids.
 */
export async function prune(store: Store, limits: PruneLimits, signal: AbortSignal): Promise<PruneResult> {
  const { state, staging, packages } = store.layout;
  await using _lock = await acquireLock(await pruneLock(state), { signal });
  await removeStaleStages(staging);
  const running = await runningBuilds(runningDirectory(state));
  const usedSince = Math.min(...running.map(({ since }) => since)) - clockSlack;
  const entries = await listEntries(store);
  const files = await listPool(packages);
  const doomed = chooseDoomed([...entries, ...files].sort(byLastUse), limits);
  const { removable, inUse } = withoutNeeded(entries, doomed, usedSince);
  const removed: StoredEntry[] = [];
  for (const entry of removable) {
    signal.throwIfAborted();
    // A build that began to use it meanwhile has touched it before.
    const touched = (await modifiedAt(recordPath(store.layout, entry.key))) ?? 0;
    if (touched > entry.touched) continue;
    await store.remove(entry.key);
    removed.push(entry);
  }
  const unused = files.filter((file) => doomed.has(file) && file.lastUsed < usedSince);
  return {
    ...{ removed: removed.length, bytes: totalBytes(removed), inUse },
    packages: { removed: await removeFiles(unused), bytes: totalBytes(unused) },
  };
}

/** What prune() with these limits would free. */
export async function prunableBytes(store: Store, limits: PruneLimits): Promise<number> {
  const entries = await listEntries(store);
  const files = await listPool(store.layout.packages);
  const doomed = chooseDoomed([...entries, ...files].sort(byLastUse), limits);
  const { removable } = withoutNeeded(entries, doomed, Number.POSITIVE_INFINITY);
  return totalBytes([...removable, ...files.filter((file) => doomed.has(file))]);
}

function totalBytes(items: readonly { readonly bytes: number }[]): number {
  return items.reduce((sum, { bytes }) => sum + bytes, 0);
}

function byLastUse(left: Prunable, right: Prunable): number {
  return left.lastUsed - right.lastUsed;
}

// The two times compared come from different clocks (the kernel's coarse one, and ours in whole milliseconds).
const clockSlack = 1000;

/** What can be removed: a stored entry, or a downloaded file. */
export type Prunable = Pick<StoredEntry, 'bytes' | 'lastUsed'> | StoredEntry;

/** Which items the limits name. They stand in order of last use. What is no readable entry goes in any case. */
export function chooseDoomed(
  items: readonly Prunable[],
  { olderThan, maximumBytes, all }: PruneLimits,
  now: number = Date.now(),
): ReadonlySet<Prunable> {
  const doomed = new Set<Prunable>();
  let remaining = totalBytes(items);
  for (const item of items) {
    const { bytes, lastUsed } = item;
    const isBroken = 'key' in item && item.entry === undefined;
    const tooOld = olderThan !== undefined && now - lastUsed > olderThan;
    const tooMuch = maximumBytes !== undefined && remaining > maximumBytes;
    if (!isBroken && all !== true && !tooOld && !tooMuch) continue;
    doomed.add(item);
    remaining -= bytes;
  }
  return doomed;
}

function withoutNeeded(
  entries: readonly StoredEntry[],
  doomed: ReadonlySet<Prunable>,
  usedSince: number,
): { removable: readonly StoredEntry[]; inUse: number } {
  const inUse = entries.filter((entry) => doomed.has(entry) && entry.lastUsed >= usedSince);
  const staying = [...entries.filter((entry) => !doomed.has(entry)), ...inUse];
  const needed = new Set(staying.flatMap(({ key, entry }) => [key, ...(entry?.record.layers ?? [])]));
  return { removable: entries.filter(({ key }) => !needed.has(key)), inUse: inUse.length };
}

const day = 24 * 60 * 60 * 1000;

/** What is removed without being asked for when nothing else is set. */
export const usualLimits: PruneLimits = { olderThan: 30 * day };

/**
 * Trims the cache after a build: to the size that the user has set, else once a day what was not used for 30 days.
 * undefined when there was nothing to do yet.
 */
export async function trimAfterBuild(
  store: Store,
  maximumBytes: number | undefined,
  signal: AbortSignal,
): Promise<PruneResult | undefined> {
  if (maximumBytes !== undefined) return prune(store, { maximumBytes }, signal);
  const stamp = join(store.layout.state, 'trimmed');
  const age = Date.now() - ((await modifiedAt(stamp)) ?? 0);
  // A stamp in the future is from before the clock was set back.
  if (age >= 0 && age < day) return undefined;
  await writeCacheFile(stamp, '');
  return prune(store, usualLimits, signal);
}
