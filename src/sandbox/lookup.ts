import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { isErrno } from '../base/errors.ts';

/** Looked at besides PATH: an ordinary user's PATH has no sbin, but mkfs and its kin live there. */
export const systemDirectories = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'] as const;

/** Finds a program on the host's PATH or in the system's directories; undefined when there is none. */
export async function findOnPath(name: string): Promise<HostPath | undefined> {
  const directories = (process.env['PATH'] ?? '').split(':').filter((directory) => directory.startsWith('/'));
  return findProgram(name, [...directories, ...systemDirectories]);
}

/** The first of these directories that holds an executable file of this name. */
export async function findProgram(
  name: string,
  directories: readonly string[],
): Promise<HostPath | undefined> {
  for (const directory of directories) {
    const path = join(directory, name);
    try {
      await access(path, constants.X_OK);
      return hostPath(path);
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP')) throw error;
    }
  }
  return undefined;
}
