import { lstat, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import picomatch from 'picomatch';
import type { HostPath, TreePath } from '../base/brand.ts';
import { treePath } from '../base/brand.ts';
import { byBytes } from '../base/canonical.ts';
import { lstatIfExists } from '../base/files.ts';
import { resolveInTree } from './resolve.ts';

/**
 * Paths inside a tree that match a pattern, sorted by bytes, each once. A component may hold `*`, `?` and `[...]`, which
 * match hidden files too; `**` stands for the directory and everything below it, real directories only. Names that are
 * written out lead through symbolic links inside the tree, so that /lib/modules/* works where /lib is a link; results
 * are paths without links, but for one in the last place.
 */
export async function globTree(root: HostPath, pattern: string): Promise<readonly TreePath[]> {
  return globAll(root, [pattern]);
}

/** Paths that match any of the patterns, as globTree() finds them. What patterns have in common is looked at once. */
export async function globAll(root: HostPath, patterns: readonly string[]): Promise<readonly TreePath[]> {
  const directories: Directories = new Map();
  const all = new Set<string>();
  for (const pattern of patterns) {
    for (const path of await matches(root, pattern, directories)) all.add(path);
  }
  all.delete('');
  return [...all].sort(byBytes).map(treePath);
}

async function matches(
  root: HostPath,
  pattern: string,
  directories: Directories,
): Promise<ReadonlySet<string>> {
  const parts = pattern.split('/').filter((part) => part !== '' && part !== '.');
  let found = new Set<string>(['']);
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1;
    const next = new Set<string>();
    for (const path of found) {
      for (const match of await expand({ root, path, part, isLast, directories })) next.add(match);
    }
    found = next;
  }
  return found;
}

/** Where a name leads that is followed, by its path; undefined where that is no directory. */
type Directories = Map<string, Promise<string | undefined>>;

interface Expansion {
  readonly root: HostPath;
  readonly path: string;
  readonly part: string;
  readonly isLast: boolean;
  readonly directories: Directories;
}

async function expand({ root, path, part, isLast, directories }: Expansion): Promise<readonly string[]> {
  if (part === '**') return descendants(root, path, isLast);
  const names = /[*?[\]\\]/.test(part) ? await matchingNames(join(root, path), part) : [part];
  const found: string[] = [];
  for (const name of names) {
    const place = `${path}/${name}`;
    if (isLast) {
      found.push(...[await lastAt(root, path, name)].flatMap((match) => match ?? []));
      continue;
    }
    const known = directories.get(place) ?? directoryAt(root, place);
    directories.set(place, known);
    found.push(...[await known].flatMap((directory) => directory ?? []));
  }
  return found;
}

/** `path` leads through real directories, so that one look is enough. */
async function lastAt(root: HostPath, path: string, name: string): Promise<string | undefined> {
  if (name === '..') return relative(root, (await resolveInTree(root, join(path, name), 'keep')).path);
  const place = join(path, name);
  return (await lstatIfExists(join(root, place))) === undefined ? undefined : place;
}

async function directoryAt(root: HostPath, place: string): Promise<string | undefined> {
  const resolved = await resolveInTree(root, place, 'follow');
  if (!resolved.exists || !(await isRealDirectory(resolved.path))) return undefined;
  return relative(root, resolved.path);
}

async function matchingNames(directory: string, part: string): Promise<readonly string[]> {
  if (!(await isRealDirectory(directory))) return [];
  // Braces, extended patterns and negation are no part of the language that RemoveFiles= and its kin use.
  const isMatch = picomatch(part, { dot: true, nobrace: true, noextglob: true, nonegate: true });
  return (await readdir(directory)).filter((name) => isMatch(name));
}

async function descendants(root: HostPath, path: string, withFiles: boolean): Promise<readonly string[]> {
  if (!(await isRealDirectory(join(root, path)))) return [];
  const found = [path];
  for (const entry of await readdir(join(root, path), { withFileTypes: true })) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) found.push(...(await descendants(root, child, withFiles)));
    else if (withFiles) found.push(child);
  }
  return found;
}

async function isRealDirectory(path: string): Promise<boolean> {
  return (await lstat(path)).isDirectory();
}
