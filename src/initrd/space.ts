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
  throw noSpace(directory, free, bytes + margin);
}

/** The error of a disk that turned out to be full in the middle of writing, after what was written is removed. */
export async function fullDisk(directory: string, bytes: number): Promise<MkimgError> {
  const { bavail, bsize } = await statfs(directory);
  return noSpace(directory, bavail * bsize, bytes);
}

function noSpace(directory: string, free: number, bytes: number): MkimgError {
  return new MkimgError(
    'disk-full',
    `The file system of ${directory} has ${mebibytes(free)} free, and ${mebibytes(bytes)} are needed`,
    { hint: 'Remove kernels that are no longer needed. What is there was not changed.' },
  );
}

function mebibytes(bytes: number): string {
  return `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}
