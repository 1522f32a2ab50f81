import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { relative } from 'node:path';
import { isErrno } from '../../base/errors.ts';

/**
 * Synchronous reads of sysfs and procfs: a promise for each of a thousand files costs more than the reading. What is not
 * there, or does not let itself be read, says nothing: drivers answer EIO, ENODEV and others as they please.
 */

export function readText(path: string): string | undefined {
  return quiet(() => readFileSync(path, 'utf8'));
}

export function namesIn(directory: string): readonly string[] {
  return quiet(() => readdirSync(directory))?.sort() ?? [];
}

export function readLink(path: string): string | undefined {
  return quiet(() => readlinkSync(path));
}

/** Where a path below `root` leads, relative to it; undefined when it leads nowhere or outside. */
export function realPathBelow(root: string, path: string): string | undefined {
  const real = quiet(() => relative(realpathSync(root), realpathSync(path)));
  return real === undefined || real.startsWith('..') ? undefined : real;
}

function quiet<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'EINVAL', 'EIO', 'ENODEV', 'ENXIO', 'ELOOP'))
      return undefined;
    throw error;
  }
}
