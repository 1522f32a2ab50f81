import { statfs } from 'node:fs/promises';
import { MkimgError } from '../base/errors.ts';

/** What file systems need beside the bytes of files: directories, tables, a copy of a small file. */
const margin = 1 << 20;

/**
 * Makes sure that a file system has room, before anything is written to it.
 * @throws MkimgError `disk-full`
 */
export async function requireSpace(directory: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  if (free >= bytes + margin) return;
  throw new MkimgError(
    'disk-full',
    `The file system of ${directory} has ${mebibytes(free)} free, and ${mebibytes(bytes + margin)} are needed`,
    { hint: 'Remove kernels that are no longer needed. What is there was not changed.' },
  );
}

function mebibytes(bytes: number): string {
  return `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}
