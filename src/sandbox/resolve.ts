import { readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath, TreePath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { MkimgError } from '../base/errors.ts';
import { lstatIfExists } from '../base/files.ts';

/** As many symbolic links as Linux follows in one path (MAXSYMLINKS of linux/namei.h). */
const maximumLinks = 40;

/** Whether a link in the last place is followed, or is itself what is meant. */
export type LastLink = 'follow' | 'keep';

/** A path inside a tree as the tree's own system would find it. */
export interface Resolved {
  /** On the host: the root, and below it no symbolic link but a kept last one. */
  readonly path: HostPath;
  /** False when the last component, or one before it, does not exist. */
  readonly exists: boolean;
}

/**
 * Finds a path the way `chroot` does: symbolic links, absolute ones and `..` included, never lead out of the root.
 * Components that do not exist are taken literally, so that they can be created.
 *
 * Node has no openat(): components are looked at one after the other, so a process that changes the tree at the same
 * time could still redirect the result. Nothing of the image runs while mkimg itself works on its tree.
 * @throws MkimgError `bad-tree-path` for links that go round in a circle.
 */
export async function resolveInTree(
  root: HostPath,
  path: TreePath | string,
  last: LastLink,
): Promise<Resolved> {
  const walk: Walk = { resolved: [], pending: components(path).reverse(), links: 0, missing: false };
  for (let name = walk.pending.pop(); name !== undefined; name = walk.pending.pop()) {
    if (name === '..') climb(walk, path);
    else await descend({ root, path, last, walk }, name);
  }
  return { path: hostPath(join(root, ...walk.resolved)), exists: !walk.missing };
}

interface Walk {
  resolved: string[];
  /** What is still to be walked, next one last. */
  readonly pending: string[];
  links: number;
  missing: boolean;
}

interface Walker {
  readonly root: HostPath;
  readonly path: string;
  readonly last: LastLink;
  readonly walk: Walk;
}

function components(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function climb(walk: Walk, path: string): void {
  if (walk.missing) throw badPath(path, 'it climbs out of a directory that does not exist');
  // At the root, `..` is the root.
  walk.resolved.pop();
}

async function descend({ root, path, last, walk }: Walker, name: string): Promise<void> {
  const here = join(root, ...walk.resolved, name);
  const stats = walk.missing ? undefined : await lstatIfExists(here);
  if (stats === undefined) {
    walk.missing = true;
  } else if (stats.isSymbolicLink() && (last === 'follow' || walk.pending.length > 0)) {
    walk.links += 1;
    if (walk.links > maximumLinks) throw badPath(path, 'its symbolic links go round in a circle');
    const target = await readlink(here);
    if (target.startsWith('/')) walk.resolved = [];
    walk.pending.push(...components(target).reverse());
    return;
  }
  walk.resolved.push(name);
}

function badPath(path: string, reason: string): MkimgError {
  return new MkimgError('bad-tree-path', `Cannot use /${path} of the image: ${reason}.`, {
    hint: 'Look at the packages, trees and scripts that put it there.',
  });
}
