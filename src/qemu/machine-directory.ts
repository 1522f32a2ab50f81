import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../base/errors.ts';
import { currentOwner, formatOwner, isAlive, parseOwner } from '../base/owner.ts';
import type { TemporaryDirectory } from '../base/temporary.ts';
import { temporaryDirectory } from '../base/temporary.ts';

const prefix = 'mkimg-vm-';

/** Makes a machine's own directory below `scratch`, and removes those of machines whose mkimg was killed. */
export async function machineDirectory(scratch: string): Promise<TemporaryDirectory> {
  for (const name of await readdir(scratch)) {
    if (name.startsWith(prefix)) await removeIfStale(join(scratch, name), name.slice(prefix.length));
  }
  return temporaryDirectory(scratch, `${prefix}${formatOwner(currentOwner())}.`);
}

/** `scratch` may be for all users: only directories of this user are touched. */
async function removeIfStale(path: string, ownerText: string): Promise<void> {
  const owner = parseOwner(ownerText);
  if (owner === undefined) return;
  try {
    const { uid, mtimeMs } = await lstat(path);
    if (uid !== process.getuid?.() || isAlive(owner, mtimeMs)) return;
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    // Another run was faster, a mount is still there, or files of subordinate ids are in it.
    if (!isErrno(error, 'ENOENT', 'ENOTEMPTY', 'EBUSY', 'EACCES', 'EPERM')) throw error;
  }
}
