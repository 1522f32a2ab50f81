import { lstat } from 'node:fs/promises';
import { posix } from 'node:path';
import type { TreePath } from '../../base/brand.ts';
import { treePath } from '../../base/brand.ts';
import type { SegmentItem } from './segment.ts';
import type { Tree } from '../../sandbox/tree.ts';

const firmwareRoot = 'usr/lib/firmware';
/** In the order in which the kernel tries them (drivers/base/firmware_loader). */
const suffixes = ['', '.zst', '.xz'] as const;
const maximumLinks = 40;

/** True when the tree has any firmware, so that it is worth asking modules for what they want. */
export async function hasFirmware(tree: Tree): Promise<boolean> {
  return (await tree.list(treePath(firmwareRoot))).length > 0;
}

/**
 * The files and links that hold a firmware file of this name, as /usr/lib/firmware has them; empty when there is none,
 * which is no fault: drivers name files for hardware of all ages.
 */
export async function firmwareItems(
  tree: Tree,
  version: string,
  name: string,
): Promise<ReadonlyMap<TreePath, SegmentItem>> {
  const items = new Map<TreePath, SegmentItem>();
  // The name comes out of a module and could be anything.
  if (name.split('/').includes('..')) return items;
  const isPattern = /[*?[]/.test(name);
  for (const directory of [`updates/${version}`, 'updates', version, '.']) {
    for (const suffix of suffixes) {
      const path = posix.join(firmwareRoot, directory, name + suffix);
      const matches = isPattern ? await tree.glob(path) : [treePath(path)];
      for (const match of matches) await addChain(tree, match, items);
      // The kernel takes the first one; what a pattern stands for is spread over all.
      if (items.size > 0 && !isPattern) return items;
    }
  }
  return items;
}

/** Adds a file and every link on the way to it. */
async function addChain(tree: Tree, path: TreePath, items: Map<TreePath, SegmentItem>): Promise<void> {
  if (!(await tree.exists(path))) return;
  let here: string = path;
  for (let links = 0; links < maximumLinks; links++) {
    const link = await firstLink(tree, here);
    if (link === undefined) break;
    const next = posix.join(posix.resolve('/', posix.dirname(link.path), link.target), link.rest).slice(1);
    const inside = next.replace(/^lib\//, 'usr/lib/');
    // A link that leads elsewhere is replaced by what it leads to: the initrd has its own rest of the system.
    if (!inside.startsWith(`${firmwareRoot}/`)) break;
    items.set(treePath(link.path), { kind: 'link', target: link.target });
    here = inside;
  }
  const file = await tree.resolve(treePath(here));
  const stats = await lstat(file);
  if (!stats.isFile()) return;
  const content = { file: Buffer.from(file), size: stats.size };
  items.set(treePath(here), { kind: 'file', content, mtime: Math.floor(stats.mtimeMs / 1000) });
}

interface Link {
  readonly path: string;
  readonly target: string;
  /** What follows the link in the path. */
  readonly rest: string;
}

/** The first link on a path below the firmware directory. */
async function firstLink(tree: Tree, path: string): Promise<Link | undefined> {
  for (let slash = path.indexOf('/', firmwareRoot.length + 1); ; slash = path.indexOf('/', slash + 1)) {
    const prefix = slash < 0 ? path : path.slice(0, slash);
    const target = await tree.readLink(treePath(prefix));
    if (target !== undefined) return { path: prefix, target, rest: slash < 0 ? '' : path.slice(slash) };
    if (slash < 0) return undefined;
  }
}
