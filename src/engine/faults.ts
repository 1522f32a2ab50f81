import { statfs } from 'node:fs/promises';
import { isErrno, MkimgError } from '../base/errors.ts';
import type { CacheLayout } from './layout.ts';

const message = /No space left on device|Disk quota exceeded/;

/**
 * Turns "no space left" of our own writes and of tools into one error that says which file system is full. Other errors
 * come back as they are.
 */
export async function explainFault(error: unknown, layout: CacheLayout): Promise<unknown> {
  const ours = isErrno(error, 'ENOSPC', 'EDQUOT');
  const tools =
    error instanceof MkimgError &&
    error.code === 'tool-failed' &&
    error.tail.some((line) => message.test(line));
  if (!ours && !tools) return error;
  const places = await Promise.all([layout.root, '/var/tmp', '/tmp'].map(freeSpace));
  // The cache is the likely place; another one only if it is plainly the full one.
  const [fullest] = places.sort((left, right) => left.free - right.free);
  const place =
    fullest === undefined ? layout.root : `${fullest.path} (${Math.floor(fullest.free / 2 ** 20)} MiB free)`;
  return new MkimgError('disk-full', `No space left on the file system of ${place}`, {
    hint: `Remove results that are not needed with 'mkimg cache prune', or choose another place with CacheDirectory=.`,
    ...(error instanceof MkimgError ? { tail: error.tail } : {}),
    cause: error,
  });
}

async function freeSpace(path: string): Promise<{ path: string; free: number }> {
  const { bavail, bsize } = await statfs(path);
  return { path, free: bavail * bsize };
}

/** The error of a run that the user stopped. */
export function interruption(reason: unknown): MkimgError {
  if (reason instanceof MkimgError && reason.class === 'interrupted') return reason;
  return new MkimgError('interrupted', 'interrupted', { class: 'interrupted', cause: reason });
}
