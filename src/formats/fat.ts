import type { ByteSource } from './bytes.ts';

/** A FAT32 file system has at least this many clusters; one with fewer is taken for FAT16 by firmware, and not found. */
const fat32Clusters = 65525;

/**
 * True for a file system formatted as FAT32 that is too small to be one, which UEFI firmware cannot read. Fields as in
 * Microsoft's FAT specification 1.03, section 3.1 and 3.5.
 */
export function isUndersizedFat32(source: ByteSource, offset: number): boolean {
  const boot = source.read(offset, 512);
  if (boot.length < 512 || boot.readUInt16LE(510) !== 0xaa55) return false;
  const sectorsPerCluster = boot.readUInt8(13);
  const sectorsPerFat16 = boot.readUInt16LE(22);
  // FAT12 and FAT16 say here how long their table is.
  if (sectorsPerFat16 !== 0 || sectorsPerCluster === 0) return false;
  const reserved = boot.readUInt16LE(14);
  const tables = boot.readUInt8(16) * boot.readUInt32LE(36);
  return (boot.readUInt32LE(32) - reserved - tables) / sectorsPerCluster < fat32Clusters;
}
