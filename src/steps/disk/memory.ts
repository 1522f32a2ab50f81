import { readTextIfExists } from '../../base/files.ts';

/** Bytes of memory that can be had without swapping, from the text of /proc/meminfo; 0 when it does not say. */
export function availableMemory(meminfo: string): number {
  const kibibytes = /^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1];
  return kibibytes === undefined ? 0 : Number(kibibytes) * 1024;
}

/**
 * Whether systemd-repart's copies may go to memory: it keeps a copy of the tree and the file system made of it at the same
 * time. Half of the memory stays for others, and no tmpfs grows beyond half of it anyway.
 */
export async function fitsInMemory(treeBytes: number): Promise<boolean> {
  const available = availableMemory((await readTextIfExists('/proc/meminfo')) ?? '');
  return treeBytes * 2.3 < available / 2;
}
