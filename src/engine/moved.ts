import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath, StepKey } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { isErrno } from '../base/errors.ts';
import { exists, lstatIfExists, readTextIfExists, writeFileAtomically } from '../base/files.ts';
import type { CacheLayout } from './layout.ts';

/*
 * A large image is moved from the store into the output directory instead of being copied: writing gigabytes twice is the
 * dearest thing a build can do. A hard link would cost as little, but then a guest that writes to the image would change
 * the store. The entry keeps its record and a note of where the artifact went; while the file there is still the same
 * (inode, size, time), the entry counts as present.
 */

interface Moved {
  readonly path: string;
  readonly inode: number;
  readonly bytes: number;
  readonly mtimeMs: number;
}

/** The directory of a key's entry. */
export function entryPath(layout: CacheLayout, key: StepKey): HostPath {
  return hostPath(join(layout.store, key));
}

/** Notes that the artifact of `key` now stands at `path`. */
export async function recordMove(layout: CacheLayout, key: StepKey, path: HostPath): Promise<void> {
  const { ino, size, mtimeMs } = await lstat(path);
  const moved: Moved = { path, inode: ino, bytes: size, mtimeMs };
  try {
    await writeFileAtomically(
      join(entryPath(layout, key), 'moved.json'),
      `${JSON.stringify(moved)}\n`,
      0o600,
    );
  } catch (error) {
    // Another process removed the entry meanwhile: then there is nothing to note, and the output is in its place.
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

/** True when the artifact of `key` was moved out of the store. */
export async function wasMoved(layout: CacheLayout, key: StepKey): Promise<boolean> {
  return exists(join(entryPath(layout, key), 'moved.json'));
}

/** Where the artifact of the entry at `directory` was moved to, if it is still there unchanged. */
export async function movedTo(directory: string): Promise<HostPath | undefined> {
  const text = await readTextIfExists(join(directory, 'moved.json'));
  if (text === undefined) return undefined;
  const moved = JSON.parse(text) as Moved;
  const stats = await lstatIfExists(moved.path);
  const same = stats?.ino === moved.inode && stats.size === moved.bytes && stats.mtimeMs === moved.mtimeMs;
  return same ? hostPath(moved.path) : undefined;
}
