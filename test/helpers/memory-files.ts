import { posix } from 'node:path';
import { hostPath } from '../../src/base/brand.ts';
import { byBytes } from '../../src/base/canonical.ts';
import { ConfigurationError } from '../../src/base/errors.ts';
import type { ConfigFiles } from '../../src/config/files.ts';
import type { ProjectRequest } from '../../src/config/project.ts';

/** A small file system; names that end in a slash are empty directories, `#!` makes a file executable. */
export function memoryFiles(content: Readonly<Record<string, string>>, root = '/project'): ConfigFiles {
  const files = new Map<string, string>();
  const directories = new Set<string>(['/']);
  for (const [name, text] of Object.entries(content)) {
    const path = posix.resolve(root, name);
    if (name.endsWith('/')) directories.add(path);
    else files.set(path, text);
    for (let parent = posix.dirname(path); parent !== '/'; parent = posix.dirname(parent))
      directories.add(parent);
  }
  return {
    stat: (path) => {
      const text = files.get(path);
      if (text === undefined && !directories.has(path)) return undefined;
      return {
        directory: text === undefined,
        executable: text?.startsWith('#!') === true,
        openToOthers: false,
      };
    },
    list: (path) =>
      [...files.keys(), ...directories]
        .filter((name) => name !== '/' && posix.dirname(name) === path)
        .map((name) => posix.basename(name))
        .sort(byBytes),
    read: (path) => {
      const text = files.get(path);
      if (text === undefined && directories.has(path)) throw isDirectory(path);
      if (text === undefined) throw new Error(`no file ${path}`);
      return text;
    },
    realPath: (path) => path,
  };
}

/** As for files on the disk. */
function isDirectory(path: string): ConfigurationError {
  const origin = { kind: 'path', path: hostPath(path) } as const;
  const message = 'it cannot be read: it is a directory';
  return new ConfigurationError([{ severity: 'error', code: 'unreadable-file', message, origin }]);
}

/** A request for a project in memory on an x86-64 host with Debian bookworm. */
export function memoryProject(
  content: Readonly<Record<string, string>>,
  flags: Readonly<Record<string, string>> | readonly (readonly [setting: string, text: string])[] = {},
): ProjectRequest {
  const given: readonly (readonly [string, string])[] = Array.isArray(flags)
    ? (flags as readonly (readonly [string, string])[])
    : Object.entries(flags);
  return {
    directory: hostPath('/project'),
    assignments: given.map(([setting, text]) => ({ setting, text, flag: `--${setting}=${text}` })),
    environment: { HOME: '/home/user', ROOM: '/room' },
    host: { architecture: 'x86-64', distribution: 'debian', codename: 'bookworm' },
    files: memoryFiles(content),
  };
}
