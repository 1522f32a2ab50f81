import type { Stats } from 'node:fs';
import type { HostPath } from '../../base/brand.ts';
import type { WalkedEntry } from '../walk.ts';
import { linkGroup, walkTree } from '../walk.ts';

/** What a tree needs in a file system with blocks of 4 KiB. */
export interface TreeUsage {
  /** Blocks of file contents, directories and long symlinks, each file rounded up, hard links counted once. */
  readonly blocks: number;
  readonly inodes: number;
}

export const blockBytes = 4096;

/** Symlinks up to this length live in the inode. */
const inlineLinkBytes = 59;
/** Compressing file systems hold ordinary data in an eighth of its size at best; less means holes. */
const compressionLimit = 8;
const mebibyte = 1024 * 1024;

export interface MeasuredTree extends TreeUsage {
  /** Paths of what was read or made before the epoch, and not since. */
  readonly oldAccess: readonly Buffer[];
}

export interface MeasureOptions {
  /** Directories, relative to the root, whose content does not count. */
  readonly hidden: readonly string[];
  /** Seconds. */
  readonly epoch: number;
}

/** Looks at all of a tree once. */
export async function measureTree(
  root: HostPath,
  options: MeasureOptions,
  signal: AbortSignal,
): Promise<MeasuredTree> {
  const prefixes = options.hidden.map((path) => Buffer.from(`${path}/`));
  const seen = new Set<string>();
  const oldAccess: Buffer[] = [];
  let blocks = 1;
  let inodes = 1;
  for await (const entry of walkTree(root, signal)) {
    if (prefixes.some((prefix) => startsWith(entry.path, prefix)) || !isCounted(entry, seen)) continue;
    inodes += 1;
    blocks += blocksOf(entry.stats);
    if (entry.stats.atimeMs < options.epoch * 1000) oldAccess.push(entry.path);
  }
  return { blocks, inodes, oldAccess };
}

function isCounted(entry: WalkedEntry, seen: Set<string>): boolean {
  const group = linkGroup(entry);
  if (group === undefined) return true;
  const isNew = !seen.has(group);
  seen.add(group);
  return isNew;
}

function startsWith(path: Buffer, prefix: Buffer): boolean {
  return path.subarray(0, prefix.length).equals(prefix);
}

/** Blocks for one thing. Holes of sparse files are not counted where they are large enough to be told from compression. */
export function blocksOf(stats: Pick<Stats, 'size' | 'blocks' | 'mode'>): number {
  const type = stats.mode & 0o170000;
  if (type === 0o100000) {
    const allocated = stats.blocks * 512;
    return Math.ceil(Math.min(stats.size, allocated * compressionLimit + mebibyte) / blockBytes);
  }
  if (type === 0o040000) return Math.max(1, Math.ceil(stats.size / blockBytes));
  return type === 0o120000 && stats.size > inlineLinkBytes ? 1 : 0;
}
