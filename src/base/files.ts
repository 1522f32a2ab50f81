import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { constants } from 'node:fs';
import { access, lstat, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { HostPath } from './brand.ts';
import { hostPath } from './brand.ts';
import { isErrno } from './errors.ts';

/** Reads a text file; undefined when it does not exist. */
export async function readTextIfExists(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await access(path, constants.F_OK);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}

/** What stands at a path itself, not where a link leads; undefined when nothing does. */
export async function lstatIfExists(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** When a file was changed, in milliseconds since the epoch; undefined when it does not exist. */
export async function modifiedAt(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/**
 * Names of what is in a directory, in no order; none when the directory does not exist.
 * @param alsoNone further error codes that count as not existing
 */
export async function namesIn(directory: string, ...alsoNone: readonly string[]): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', ...alsoNone)) return [];
    throw error;
  }
}

export async function isDirectory(path: string): Promise<boolean> {
  return (await statIfExists(path))?.isDirectory() ?? false;
}

export async function isRegularFile(path: string): Promise<boolean> {
  return (await statIfExists(path))?.isFile() ?? false;
}

async function statIfExists(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/**
 * Writes a file so that readers see the old content or the new one, never a part: temporary name beside it, fsync, rename.
 */
export async function writeFileAtomically(
  path: string,
  content: string | Uint8Array,
  mode = 0o644,
): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const handle = await open(temporary, 'wx', mode);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Writes what only saves time later: a disk that is full or read-only is no reason to stop. */
export async function writeCacheFile(
  path: string,
  content: string | Uint8Array,
  mode?: number,
): Promise<void> {
  try {
    await writeFileAtomically(path, content, mode);
  } catch (error) {
    if (!isErrno(error, 'ENOSPC', 'EDQUOT', 'EROFS')) throw error;
  }
}

/** Makes the names inside a directory durable (rename alone does not). */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Makes a directory with all directories above it that are missing. (mkdir of Node 20 with `recursive` never returns where
 * nothing can be made, as in /proc: the kernel says ENOENT of a directory whose parent exists.)
 */
export async function makeDirectory(path: string, mode?: number): Promise<void> {
  try {
    await makeOne(path, mode);
  } catch (error) {
    if (!isErrno(error, 'ENOENT') || dirname(path) === path) throw error;
    await makeDirectory(dirname(path), mode);
    await makeOne(path, mode);
  }
}

async function makeOne(path: string, mode: number | undefined): Promise<void> {
  try {
    await mkdir(path, mode);
  } catch (error) {
    // A read-only file system says EROFS even of what is there.
    if (isErrno(error, 'EEXIST', 'EROFS', 'EISDIR') && (await isDirectory(path))) return;
    throw error;
  }
}

export function parentOf(path: HostPath): HostPath {
  return hostPath(dirname(path));
}
