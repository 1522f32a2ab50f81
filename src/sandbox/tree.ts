import { randomBytes } from 'node:crypto';
import type { Dirent, Stats } from 'node:fs';
import { constants } from 'node:fs';
import { chmod, lstat, mkdir, open, readdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { HostPath, TreePath } from '../base/brand.ts';
import { hostPath, treePath } from '../base/brand.ts';
import { byBytes } from '../base/canonical.ts';
import { isErrno, MkimgError } from '../base/errors.ts';
import { globAll, globTree } from './glob.ts';
import type { LastLink } from './resolve.ts';
import { resolveInTree } from './resolve.ts';

/** Largest file that readText() takes, in bytes: configuration, not content. */
const textLimit = 64 * 1024 * 1024;

export type EntryType = 'file' | 'directory' | 'symlink' | 'other';

export interface TreeEntry {
  readonly name: string;
  readonly type: EntryType;
}

/**
 * File access inside an image tree. A path never leads out of the tree, whatever symbolic links the image holds; see
 * resolveInTree() for how, and for what remains to be trusted.
 *
 * Links on the way are followed inside the tree. A link in the last place is followed where a file is read, listed or
 * given a mode, and is itself meant where something is written, made, removed or asked for its type.
 */
export interface Tree {
  readonly root: HostPath;
  /** Where a path is on the host, last link followed; it need not exist. */
  resolve(path: TreePath): Promise<HostPath>;
  /** False for a link that leads nowhere. */
  exists(path: TreePath): Promise<boolean>;
  /** undefined when there is nothing. */
  type(path: TreePath): Promise<EntryType | undefined>;
  /** Content of a regular file; undefined when there is nothing. @throws MkimgError `bad-tree-path` for other files. */
  readText(path: TreePath): Promise<string | undefined>;
  /** What a symbolic link says; undefined when there is none. */
  readLink(path: TreePath): Promise<string | undefined>;
  /** Replaces a file at once, and a link in its place; missing parents are made with mode 0755. Default mode 0644. */
  writeText(path: TreePath, content: string | Uint8Array, mode?: number): Promise<void>;
  /** Makes a directory of this mode (default 0755) and missing parents (0755); one that is there stays as it is. */
  mkdir(path: TreePath, mode?: number): Promise<void>;
  /** Replaces a file or link by a symbolic link; missing parents are made. */
  symlink(path: TreePath, target: string): Promise<void>;
  /** Removes a file, a link or a directory with all it holds; nothing there is fine. */
  remove(path: TreePath): Promise<void>;
  chmod(path: TreePath, mode: number): Promise<void>;
  /** What a directory holds, sorted by bytes; empty when there is no directory. */
  list(path: TreePath): Promise<readonly TreeEntry[]>;
  /** Paths that match a pattern of shell wildcards (`*`, `?`, `[...]`, `**`), hidden files included, sorted by bytes. */
  glob(pattern: string): Promise<readonly TreePath[]>;
  /** Paths that match any of many patterns, as with glob(). */
  globAll(patterns: readonly string[]): Promise<readonly TreePath[]>;
}

export function treeAt(root: HostPath): Tree {
  return {
    root,
    resolve: async (path) => (await resolveInTree(root, path, 'follow')).path,
    exists: async (path) => (await resolveInTree(root, path, 'follow')).exists,
    type: async (path) => {
      const stats = await statIn(root, path, 'keep');
      return stats === undefined ? undefined : entryType(stats);
    },
    readText: (path) => readText(root, path),
    readLink: async (path) => {
      const { path: real } = await resolveInTree(root, path, 'keep');
      return (await statIn(root, path, 'keep'))?.isSymbolicLink() === true ? readlink(real) : undefined;
    },
    writeText: (path, content, mode = 0o644) =>
      replace(root, path, (temporary) => writeNew(temporary, content, mode)),
    mkdir: async (path, mode = 0o755) => {
      await makeDirectory(root, path, mode);
    },
    symlink: (path, target) => replace(root, path, (temporary) => symlink(target, temporary)),
    remove: (path) => remove(root, path),
    chmod: async (path, mode) => chmod((await resolveInTree(root, path, 'follow')).path, mode),
    list: (path) => list(root, path),
    glob: (pattern) => globTree(root, pattern),
    globAll: (patterns) => globAll(root, patterns),
  };
}

async function statIn(root: HostPath, path: TreePath, last: LastLink): Promise<Stats | undefined> {
  const resolved = await resolveInTree(root, path, last);
  return resolved.exists ? lstat(resolved.path) : undefined;
}

function entryType(entry: Stats | Dirent): EntryType {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'directory';
  return entry.isSymbolicLink() ? 'symlink' : 'other';
}

async function readText(root: HostPath, path: TreePath): Promise<string | undefined> {
  const resolved = await resolveInTree(root, path, 'follow');
  if (!resolved.exists) return undefined;
  // O_NONBLOCK: opening a FIFO would wait for a writer that never comes.
  const handle = await open(resolved.path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw unusable(path, 'it is not a regular file');
    if (stats.size > textLimit) throw unusable(path, `it holds ${stats.size} bytes, too many for a text`);
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

async function writeNew(file: string, content: string | Uint8Array, mode: number): Promise<void> {
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
  const handle = await open(file, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o600);
  try {
    await handle.writeFile(content);
    // By descriptor and after the write: independent of the umask.
    await handle.chmod(mode);
  } finally {
    await handle.close();
  }
}

/** Puts something new in place of a file or link. Never synced: a build that is cut off is thrown away. */
async function replace(root: HostPath, path: TreePath, make: (at: string) => Promise<void>): Promise<void> {
  const { path: target } = await resolveInTree(root, path, 'keep');
  if (target === root) throw new Error('internal: the root of a tree cannot be replaced');
  await makeDirectory(root, parentPath(path), 0o755);
  const temporary = join(dirname(target), `.mkimg-${randomBytes(6).toString('hex')}`);
  try {
    await make(temporary);
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    if (isErrno(error, 'EISDIR', 'EEXIST', 'ENOTEMPTY')) throw unusable(path, 'it is a directory');
    throw error;
  }
}

function parentPath(path: TreePath): TreePath {
  return treePath(dirname(`/${path}`));
}

async function makeDirectory(root: HostPath, path: TreePath, mode: number): Promise<void> {
  const { path: target } = await resolveInTree(root, path, 'follow');
  const names = relative(root, target)
    .split('/')
    .filter((name) => name !== '');
  let here: string = root;
  for (const [index, name] of names.entries()) {
    here = join(here, name);
    await makeOne(here, index === names.length - 1 ? mode : 0o755, path);
  }
}

async function makeOne(directory: string, mode: number, path: TreePath): Promise<void> {
  try {
    await mkdir(directory);
    await chmod(directory, mode);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
    if (!(await lstat(directory)).isDirectory()) throw unusable(path, 'a part of it is not a directory');
  }
}

async function remove(root: HostPath, path: TreePath): Promise<void> {
  const resolved = await resolveInTree(root, path, 'keep');
  if (resolved.path === root) throw new Error('internal: the root of a tree cannot be removed');
  if (resolved.exists) await rm(resolved.path, { recursive: true, force: true });
}

async function list(root: HostPath, path: TreePath): Promise<readonly TreeEntry[]> {
  const resolved = await resolveInTree(root, path, 'follow');
  if (!resolved.exists || !(await lstat(resolved.path)).isDirectory()) return [];
  const entries = await readdir(hostPath(resolved.path), { withFileTypes: true });
  return entries
    .map((entry) => ({ name: entry.name, type: entryType(entry) }))
    .sort((left, right) => byBytes(left.name, right.name));
}

function unusable(path: TreePath, reason: string): MkimgError {
  return new MkimgError('bad-tree-path', `Cannot use /${path} of the image: ${reason}.`);
}
