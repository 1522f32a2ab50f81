import { accessSync, constants, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { hostPath } from '../base/brand.ts';
import { byBytes } from '../base/canonical.ts';
import { ConfigurationError, isErrno } from '../base/errors.ts';

/** What reading a configuration may ask of the disk. */
export interface ConfigFiles {
  /** What stands there, symlinks followed; undefined when nothing does. */
  stat(path: string): FileFacts | undefined;
  /** Names in a directory, sorted by bytes; empty when it is none. */
  list(path: string): readonly string[];
  /**
   * What is no UTF-8 becomes U+FFFD. An empty device (/dev/null) is an empty file.
   * @throws ConfigurationError when it cannot be read; so do the others where a directory is closed
   */
  read(path: string): string;
  /** The path without symlinks; it must exist. */
  realPath(path: string): string;
}

export interface FileFacts {
  readonly directory: boolean;
  readonly executable: boolean;
  /** Users that are neither owner nor of the group may read, write or execute it. */
  readonly openToOthers: boolean;
}

/** The files of this machine. */
export const hostFiles: ConfigFiles = {
  stat: (path) => {
    const facts = orUndefined(path, () => statSync(path));
    if (facts === undefined) return undefined;
    return {
      directory: facts.isDirectory(),
      executable: facts.isFile() && isExecutable(path),
      openToOthers: (facts.mode & 0o007) !== 0,
    };
  },
  list: (path) => (orUndefined(path, () => readdirSync(path)) ?? []).sort(byBytes),
  read: (path) => allowed(path, () => readText(path)),
  realPath: (path) => allowed(path, () => realpathSync(path)),
};

/** No configuration is larger, and no text that Node can hold is much larger. */
const largestFile = 128 * 2 ** 20;

/** Devices and pipes are refused: reading them may never end. */
function readText(path: string): string {
  const facts = statSync(path);
  if (facts.isDirectory()) throw unreadable(path, 'it is a directory');
  if (!facts.isFile()) {
    if (realpathSync(path) === '/dev/null') return '';
    throw unreadable(path, 'it is not a regular file');
  }
  if (facts.size > largestFile) throw unreadable(path, `it has more than ${largestFile} bytes`);
  return readFileSync(path, 'utf8');
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (error) {
    if (isErrno(error, 'EACCES')) return false;
    throw error;
  }
}

function orUndefined<T>(path: string, look: () => T): T | undefined {
  try {
    return allowed(path, look);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG')) return undefined;
    throw error;
  }
}

function allowed<T>(path: string, look: () => T): T {
  try {
    return look();
  } catch (error) {
    if (isErrno(error, 'EACCES', 'EPERM')) throw unreadable(path, 'permission denied');
    throw error;
  }
}

function unreadable(path: string, reason: string): ConfigurationError {
  const origin = { kind: 'path', path: hostPath(path) } as const;
  const message = `it cannot be read: ${reason}`;
  return new ConfigurationError([{ severity: 'error', code: 'unreadable-file', message, origin }]);
}
