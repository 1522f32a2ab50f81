import type { Stats } from 'node:fs';
import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { HostPath } from '../base/brand.ts';
import type { NewcEntry } from '../formats/newc.ts';
import { fileType } from '../formats/newc.ts';

/** One thing in a tree, as lstat(2) sees it. */
export interface WalkedEntry {
  /** Relative to the root; names may be no UTF-8. */
  readonly path: Buffer;
  /** On the host. */
  readonly file: Buffer;
  readonly stats: Stats;
}

const slash = Buffer.from('/');
/** Entries between two looks at the event loop. */
const batch = 512;

/**
 * Everything below a directory, sorted by the bytes of whole paths, each thing after its directory; links are not followed.
 * Synchronous inside: some ten thousand promises cost more than the system calls.
 */
export async function* walkTree(root: HostPath, signal: AbortSignal): AsyncGenerator<WalkedEntry> {
  let count = 0;
  for (const entry of walkDirectory(Buffer.from(root), Buffer.alloc(0))) {
    yield entry;
    if (++count % batch !== 0) continue;
    await setImmediate();
    signal.throwIfAborted();
  }
}

function* walkDirectory(directory: Buffer, prefix: Buffer): Generator<WalkedEntry> {
  for (const { entry, isContent } of sortedSteps(directory, prefix)) {
    if (isContent) yield* walkDirectory(entry.file, Buffer.concat([entry.path, slash]));
    else yield entry;
  }
}

interface WalkStep {
  readonly entry: WalkedEntry;
  /** The directory's content, not the directory itself. */
  readonly isContent: boolean;
  readonly sortKey: Buffer;
}

/** `a.b` sorts between the directory `a` and `a/c`: a directory and its content are two steps with a key each. */
function sortedSteps(directory: Buffer, prefix: Buffer): readonly WalkStep[] {
  const steps: WalkStep[] = [];
  for (const name of readdirSync(directory, 'buffer')) {
    const file = Buffer.concat([directory, slash, name]);
    const entry = { path: Buffer.concat([prefix, name]), file, stats: lstatSync(file) };
    steps.push({ entry, isContent: false, sortKey: name });
    if (entry.stats.isDirectory())
      steps.push({ entry, isContent: true, sortKey: Buffer.concat([name, slash]) });
  }
  return steps.sort((left, right) => Buffer.compare(left.sortKey, right.sortKey));
}

/**
 * A tree as entries of an archive. Files with several names in the tree become links; names outside it do not count, so
 * that files shared with a package cache look like any others. Sockets, which mean nothing without their owner, are left
 * out and told to `onSkip`.
 */
export async function archiveEntries(
  root: HostPath,
  { signal, onSkip }: { signal: AbortSignal; onSkip: (path: string) => void },
): Promise<readonly NewcEntry[]> {
  const walked: { readonly entry: WalkedEntry; readonly group: string | undefined }[] = [];
  const counts = new Map<string, number>();
  for await (const entry of walkTree(root, signal)) {
    if (entry.stats.isSocket()) {
      onSkip(entry.path.toString());
      continue;
    }
    const group = linkGroup(entry);
    if (group !== undefined) counts.set(group, (counts.get(group) ?? 0) + 1);
    walked.push({ entry, group });
  }
  return walked.map(({ entry, group }) => {
    const count = group === undefined ? 1 : (counts.get(group) ?? 1);
    return {
      ...archiveEntry(entry),
      ...(group === undefined || count < 2 ? {} : { links: { group, count } }),
    };
  });
}

/** Names the file behind several names; undefined for a file with one. */
export function linkGroup({ file, stats }: WalkedEntry): string | undefined {
  if (stats.nlink < 2 || stats.isDirectory()) return undefined;
  // Overlay file systems use the upper bits of inode numbers, which a double would round away.
  const { dev, ino } = Number.isSafeInteger(stats.ino) ? stats : lstatSync(file, { bigint: true });
  return `${dev}:${ino}`;
}

function archiveEntry({ path, file, stats }: WalkedEntry): NewcEntry {
  const { mode, uid, gid } = stats;
  const common = { path, mode, uid, gid, mtime: Math.floor(stats.mtimeMs / 1000) };
  switch (mode & fileType.mask) {
    case fileType.regular:
      return { ...common, content: { file, size: stats.size } };
    case fileType.symlink:
      return { ...common, content: readlinkSync(file, 'buffer') };
    case fileType.characterDevice:
    case fileType.blockDevice:
      return { ...common, device: deviceNumbers(stats.rdev) };
    default:
      return common;
  }
}

/** glibc's encoding of dev_t (sys/sysmacros.h). */
function deviceNumbers(device: number): { readonly major: number; readonly minor: number } {
  const bits = BigInt(device);
  const major = ((bits >> 8n) & 0xfffn) | ((bits >> 32n) & 0xfffff000n);
  const minor = (bits & 0xffn) | ((bits >> 12n) & 0xffffff00n);
  return { major: Number(major), minor: Number(minor) };
}
