import type { StepKey } from '../base/brand.ts';
import { isErrno } from '../base/errors.ts';
import type { StoredEntry } from './prune.ts';
import type { Store } from './store.ts';
import { damagedFiles, filesAmong } from './tree-contents.ts';

/** An entry that is not what its record says. */
export interface Fault {
  readonly key: StepKey;
  /** What people know it by: its label, or its key. */
  readonly name: string;
  readonly message: string;
}

/**
 * Compares entries with their records, the content of all files included for which there are digests. A tree has those of
 * unpacked packages as further names of the same files, so it is damaged with them.
 */
export async function verifyEntries(
  store: Store,
  entries: readonly StoredEntry[],
  signal: AbortSignal,
): Promise<readonly Fault[]> {
  const faults: Fault[] = [];
  const inodes = new Set<number>();
  for (const stored of entries) {
    signal.throwIfAborted();
    const message = await faultOf(store, stored, inodes);
    if (message !== undefined) faults.push(faultAt(stored, message));
  }
  const rest = entries.filter(({ key }) => !faults.some((fault) => fault.key === key));
  return [...faults, ...(await sharedFaults(rest, inodes))];
}

function faultAt({ key, entry }: StoredEntry, message: string): Fault {
  return { key, name: entry?.record.label ?? key, message };
}

/** Notes the inodes of files with another content. */
async function faultOf(
  store: Store,
  { entry, moved }: StoredEntry,
  inodes: Set<number>,
): Promise<string | undefined> {
  // An output that was moved out of the store, and then replaced or changed by its owner, is no damage.
  if (entry === undefined) return moved ? undefined : 'its record or artifact is missing';
  const fault = await store.check(entry, 'full');
  const { artifact } = entry.record;
  if (fault !== undefined || moved || artifact.type !== 'tree') return fault;
  try {
    const damaged = await damagedFiles(entry.path, artifact);
    for (const { inode } of damaged) inodes.add(inode);
    const [first] = damaged;
    return first === undefined ? undefined : contentChanged(first.path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 'its list of digests is missing';
    throw error;
  }
}

async function sharedFaults(
  entries: readonly StoredEntry[],
  inodes: ReadonlySet<number>,
): Promise<readonly Fault[]> {
  const faults: Fault[] = [];
  for (const stored of inodes.size === 0 ? [] : entries) {
    if (stored.entry?.record.artifact.type !== 'tree') continue;
    const [path] = await filesAmong(stored.entry.path, inodes);
    if (path !== undefined) faults.push(faultAt(stored, contentChanged(path)));
  }
  return faults;
}

function contentChanged(path: string): string {
  return `the content of ${path} changed`;
}
