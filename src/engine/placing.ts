import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { chmod, copyFile, open, readdir, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { isErrno } from '../base/errors.ts';
import { lstatIfExists } from '../base/files.ts';
import { currentOwner, formatOwner, isAlive, parseOwner } from '../base/owner.ts';
import { removeLargeTree, removeTree } from './staging.ts';

/*
 * Putting files into the output directory. What is not complete yet stands beside its place as `.NAME.mkimg-tmp-OWNER`; a
 * directory that is being replaced as `.NAME.mkimg-old-OWNER`, because rename(2) does not replace a filled directory.
 */

/** A name for something incomplete beside `name`. */
export function temporaryName(directory: HostPath, name: string, purpose: 'tmp' | 'old' = 'tmp'): HostPath {
  const owner = `${formatOwner(currentOwner())}.${randomBytes(4).toString('hex')}`;
  return hostPath(join(directory, `.${name}.mkimg-${purpose}-${owner}`));
}

/** Clears away what killed processes left; a directory that was to be replaced and was not comes back to its place. */
export async function removeLeftovers(directory: HostPath): Promise<void> {
  for (const leftover of await readdir(directory)) {
    const [, name = '', purpose = '', ownerText = ''] = /^\.(.+)\.mkimg-(tmp|old)-(.+)$/.exec(leftover) ?? [];
    const owner = parseOwner(ownerText);
    if (owner === undefined || isAlive(owner, Date.now())) continue;
    const path = join(directory, leftover);
    const place = join(directory, name);
    if (purpose === 'old' && !(await isThere(place))) await rename(path, place);
    else await removeTree(path);
  }
}

/** Copies a file without copying its data where the file system can share it, and without writing its holes otherwise. */
export async function copyFileCheaply(
  source: HostPath,
  target: HostPath,
  signal: AbortSignal,
): Promise<void> {
  try {
    await copyFile(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
  } catch (error) {
    if (!isErrno(error, 'ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'ENOSYS', 'EINVAL', 'ENOTTY', 'EPERM')) throw error;
    await rm(target, { force: true });
    await copySparse(source, target, signal);
  }
}

const chunkBytes = 1 << 20;

async function copySparse(source: HostPath, target: HostPath, signal: AbortSignal): Promise<void> {
  const from = await open(source, 'r');
  try {
    const to = await open(target, 'wx', 0o600);
    try {
      await copyData(from, to, signal);
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}

async function copyData(from: FileHandle, to: FileHandle, signal: AbortSignal): Promise<void> {
  const zeros = Buffer.alloc(chunkBytes);
  const buffer = Buffer.allocUnsafe(chunkBytes);
  let position = 0;
  for (;;) {
    signal.throwIfAborted();
    const { bytesRead } = await from.read(buffer, 0, chunkBytes, position);
    if (bytesRead === 0) break;
    const chunk = buffer.subarray(0, bytesRead);
    if (!chunk.equals(zeros.subarray(0, bytesRead))) await writeAll(to, chunk, position);
    position += bytesRead;
  }
  await to.truncate(position);
}

async function writeAll(file: FileHandle, chunk: Buffer, position: number): Promise<void> {
  for (let done = 0; done < chunk.length;) {
    const { bytesWritten } = await file.write(chunk, done, chunk.length - done, position + done);
    done += bytesWritten;
  }
}

/** Gives a complete file its permissions and makes it durable, so that it can be renamed into its place. */
export async function completeFile(file: HostPath, mode: number): Promise<void> {
  await chmod(file, mode);
  const handle = await open(file, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Puts a complete temporary directory in its place; the old one goes only when the new one stands. */
export async function placeDirectory(temporary: HostPath, directory: HostPath, name: string): Promise<void> {
  const target = join(directory, name);
  const old = temporaryName(directory, name, 'old');
  const replaces = await isThere(target);
  if (replaces) await rename(target, old);
  try {
    await rename(temporary, target);
  } catch (error) {
    if (replaces) await rename(old, target);
    throw error;
  }
  if (replaces) await removeLargeTree(old);
}

/** Makes `name` a symbolic link to `to`, a name in the same directory. */
export async function placeLink(directory: HostPath, name: string, to: string): Promise<void> {
  const temporary = temporaryName(directory, name);
  await symlink(to, temporary);
  try {
    await rename(temporary, join(directory, name));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Moves `source` unless that would mean copying; false when it stands on another file system. */
export async function moveIfSameFileSystem(source: HostPath, target: HostPath): Promise<boolean> {
  try {
    await rename(source, target);
    return true;
  } catch (error) {
    if (isErrno(error, 'EXDEV')) return false;
    throw error;
  }
}

/** True when there is a directory, not a link to one. */
export async function isPlainDirectory(path: string): Promise<boolean> {
  return (await lstatIfExists(path))?.isDirectory() === true;
}

/** Unlike exists(), true also for a link that leads nowhere. */
async function isThere(path: string): Promise<boolean> {
  return (await lstatIfExists(path)) !== undefined;
}
