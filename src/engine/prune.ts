import { join } from 'node:path';
import { mkdir } from 'node:fs/promises';
import type { HostPath, StepKey } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import type { EventSink } from '../base/events.ts';
import { modifiedAt } from '../base/files.ts';
import { acquireLock, markRunning, runningBuilds } from './lock.ts';
import { entryPath, wasMoved } from './moved.ts';
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
}

/** What to remove; an entry goes when any of the limits says so. */
export interface PruneLimits {
  /** Milliseconds since the last use. */
  readonly olderThan?: number;
  /** Bytes that may stay; the entries that were not used for the longest time go first. */
  readonly maximumBytes?: number;
  readonly all?: boolean;
}

export interface PruneResult {
  readonly removed: number;
  readonly bytes: number;
  /** Entries that had to stay because a running build may use them. */
  readonly inUse: number;
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

/** All entries, the one that was not used for the longest time first. */
export async function listEntries(store: Store): Promise<readonly StoredEntry[]> {
  const entries: StoredEntry[] = [];
  for (const key of await store.keys()) {
    const entry = await store.find(key);
    const lastUsed = (await modifiedAt(join(entryPath(store.layout, key), 'record.json'))) ?? 0;
    const moved = await wasMoved(store.layout, key);
    entries.push({ key, entry, moved, bytes: moved ? 0 : (entry?.record.bytes ?? 0), lastUsed });
  }
  return entries.sort((left, right) => left.lastUsed - right.lastUsed);
}

/**
 * Removes entries. A layer stays as long as a tree stays that stands on it. In a user namespace this must run inside,
 * because trees hold files of subordinate ids.
 */
export async function prune(store: Store, limits: PruneLimits, signal: AbortSignal): Promise<PruneResult> {
  const { state, staging } = store.layout;
  await using _lock = await acquireLock(await pruneLock(state), { signal });
  await removeStaleStages(staging);
  const running = await runningBuilds(runningDirectory(state));
  const usedSince = Math.min(...running.map(({ since }) => since)) - clockSlack;
  const entries = await listEntries(store);
  const doomed = chooseDoomed(entries, limits);
  const { removable, inUse } = withoutNeeded(entries, doomed, usedSince);
  let bytes = 0;
  for (const { key, bytes: size } of removable) {
    signal.throwIfAborted();
    await store.remove(key);
    bytes += size;
  }
  return { removed: removable.length, bytes, inUse };
}

// The two times compared come from different clocks (the kernel's coarse one, and ours in whole milliseconds).
const clockSlack = 1000;

/** Which entries the limits name. `entries` stand in order of last use. */
export function chooseDoomed(
  entries: readonly StoredEntry[],
  { olderThan, maximumBytes, all }: PruneLimits,
  now: number = Date.now(),
): ReadonlySet<StepKey> {
  const doomed = new Set<StepKey>();
  let remaining = entries.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const { key, entry, bytes, lastUsed } of entries) {
    const tooOld = olderThan !== undefined && now - lastUsed > olderThan;
    const tooMuch = maximumBytes !== undefined && remaining > maximumBytes;
    if (entry !== undefined && all !== true && !tooOld && !tooMuch) continue;
    doomed.add(key);
    remaining -= bytes;
  }
  return doomed;
}

function withoutNeeded(
  entries: readonly StoredEntry[],
  doomed: ReadonlySet<StepKey>,
  usedSince: number,
): { removable: readonly StoredEntry[]; inUse: number } {
  const inUse = entries.filter(({ key, lastUsed }) => doomed.has(key) && lastUsed >= usedSince);
  const staying = [...entries.filter(({ key }) => !doomed.has(key)), ...inUse];
  const needed = new Set(staying.flatMap(({ key, entry }) => [key, ...(entry?.record.layers ?? [])]));
  return { removable: entries.filter(({ key }) => !needed.has(key)), inUse: inUse.length };
}
