import { lstat, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import picomatch from 'picomatch';
import type { HostPath, TreePath } from '../base/brand.ts';
import { treePath } from '../base/brand.ts';
import { byBytes } from '../base/canonical.ts';
import { resolveInTree } from './resolve.ts';

/**
 * Paths inside a tree that match a pattern, sorted by bytes, each once. A component may hold `*`, `?` and `[...]`, which
 * match hidden files too; `**` stands for the directory and everything below it, real directories only. Names that are
 * written out lead through symbolic links inside the tree, so that /lib/modules/* works where /lib is a link; results
 * are paths without links, but for one in the last place.
 */
export async function globTree(root: HostPath, pattern: string): Promise<readonly TreePath[]> {
  const parts = pattern.split('/').filter((part) => part !== '' && part !== '.');
  let found = new Set<string>(['']);
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1;
    const next = new Set<string>();
    for (const path of found) {
      for (const match of await expand({ root, path, part, isLast })) next.add(match);
    }
    found = next;
  }
  found.delete('');
  return [...found].sort(byBytes).map(treePath);
}

interface Expansion {
  readonly root: HostPath;
  readonly path: string;
  readonly part: string;
  readonly isLast: boolean;
}

async function expand({ root, path, part, isLast }: Expansion): Promise<readonly string[]> {
  if (part === '**') return descendants(root, path, isLast);
  const names = /[*?[\]\\]/.test(part) ? await matchingNames(join(root, path), part) : [part];
  const matches: string[] = [];
  for (const name of names) {
    const resolved = await resolveInTree(root, `${path}/${name}`, isLast ? 'keep' : 'follow');
    if (resolved.exists && (isLast || (await isRealDirectory(resolved.path)))) {
      matches.push(relative(root, resolved.path));
    }
  }
  return matches;
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
