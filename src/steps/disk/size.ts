import type { TreeUsage } from './usage.ts';
import { blockBytes } from './usage.ts';

const mebibyte = 1024 * 1024;

/** mke2fs makes one inode for this many bytes (`inode_ratio` of its default profile), 256 bytes each. */
const bytesPerInode = 16384;
const inodeBytes = 256;
/**
 * Size in bytes of the ext4 root partition for a tree: contents plus a quarter of them plus 128 MiB to work with, at least
 * as much as gives mke2fs's default of one inode for 16 KiB enough inodes for the tree's files and a quarter more; then the
 * inode tables, the journal, and 2 % for group descriptors, bitmaps and extent blocks; rounded up to 4 MiB. What is free
 * costs nothing: the image is sparse.
 */
export function rootPartitionBytes(usage: TreeUsage): number {
  const contents = usage.blocks * blockBytes;
  const usable = Math.max(contents * 1.25 + 128 * mebibyte, usage.inodes * 1.25 * bytesPerInode);
  const inodeTables = (usable / bytesPerInode) * inodeBytes;
  const structures = usable * 0.02;
  return roundUp(usable + inodeTables + structures + journalBytes(usable), 4 * mebibyte);
}

/** ext2fs_default_journal_size() of e2fsprogs 1.47, in bytes, for 4 KiB blocks; each limit taken with the next size's room. */
function journalBytes(bytes: number): number {
  const blocks = (bytes * 1.1) / blockBytes;
  if (blocks < 32768) return 1024 * blockBytes;
  if (blocks < 256 * 1024) return 4096 * blockBytes;
  if (blocks < 512 * 1024) return 8192 * blockBytes;
  if (blocks < 4096 * 1024) return 16384 * blockBytes;
  if (blocks < 8192 * 1024) return 32768 * blockBytes;
  if (blocks < 16384 * 1024) return 65536 * blockBytes;
  return 262144 * blockBytes;
}

/**
 * Size in bytes of the EFI system partition: 512 MiB as mkosi has it (which is also well above the 260 MiB below which a
 * FAT32 with 4096-byte sectors is invisible to firmware), or the files and a quarter more plus 64 MiB where they need it.
 */
export function espPartitionBytes(fileBytes: readonly number[]): number {
  const contents = fileBytes.reduce((sum, bytes) => sum + roundUp(bytes, blockBytes), 0);
  return Math.max(512 * mebibyte, roundUp(contents * 1.25 + 64 * mebibyte, 4 * mebibyte));
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
