import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { posix } from 'node:path';
import type { HostPath, TreePath } from '../../base/brand.ts';
import { treePath } from '../../base/brand.ts';
import { byBytes } from '../../base/canonical.ts';
import { isErrno } from '../../base/errors.ts';
import { fnmatch } from '../../formats/fnmatch.ts';
import type { SegmentItem } from './segment.ts';

/** The firmware files of a tree, as the kernel looks for them. Reads each directory once; links never lead out of the tree. */
export interface Firmware {
  /** False when the tree has none, so that it is not worth asking modules for what they want. */
  readonly isThere: boolean;
  /**
   * The files and links that hold a firmware file of this name, which may be a pattern, at their places below
   * usr/lib/firmware; empty when there is none, which is no fault: drivers name files for hardware of all ages.
   */
  items(name: string): ReadonlyMap<TreePath, SegmentItem>;
}

const firmwareRoot = 'usr/lib/firmware';
/** In the order in which the kernel tries them (drivers/base/firmware_loader/main.c): each in all directories. */
const suffixes = ['', '.zst', '.xz'] as const;
const maximumLinks = 40;

export function firmwareOf(root: HostPath, version: string): Firmware {
  const directories = directoryCache(root);
  // Where /lib is a directory of its own the kernel still looks there; the initrd has one for both.
  const roots = [firmwareRoot, 'lib/firmware'].filter((path) => directories.isRealDirectory(path));
  const places = roots.flatMap((path) =>
    [`updates/${version}`, 'updates', version, '.'].map((directory) => posix.join(path, directory)),
  );
  const searched = places.filter((path) => directories.resolve(path, roots)?.type === 'directory');
  return {
    isThere: roots.some((path) => directories.names(path).size > 0),
    items: (name) => itemsNamed(name, { directories, roots, searched }),
  };
}

interface Search {
  readonly directories: DirectoryCache;
  readonly roots: readonly string[];
  readonly searched: readonly string[];
}

function itemsNamed(name: string, search: Search): ReadonlyMap<TreePath, SegmentItem> {
  const items = new Map<TreePath, SegmentItem>();
  // The name comes out of a module and could be anything.
  if (name.split('/').includes('..') || name.includes('\0')) return items;
  const isPattern = /[*?[]/.test(name);
  for (const suffix of suffixes) {
    for (const directory of search.searched) {
      const matches = isPattern
        ? expand(search, directory, name + suffix)
        : [posix.join(directory, name + suffix)];
      for (const match of matches) addFile(search, match, items);
      // The kernel takes the first one; what a pattern stands for is spread over all.
      if (items.size > 0 && !isPattern) return items;
    }
  }
  return items;
}

/** Paths below a directory that match, links followed; a wildcard does not match `/`. */
function expand({ directories, roots }: Search, directory: string, pattern: string): readonly string[] {
  let found = [directory];
  for (const part of pattern.split('/').filter((word) => word !== '' && word !== '.')) {
    found = found.flatMap((path) => {
      if (!/[*?[]/.test(part)) return [`${path}/${part}`];
      const real = directories.resolve(path, roots);
      if (real?.type !== 'directory') return [];
      const names = [...directories.names(real.path).keys()].filter((name) => fnmatch(part, name));
      return names.sort(byBytes).map((name) => `${path}/${name}`);
    });
  }
  return found;
}

/** Adds a file and every link on the way to it. */
function addFile({ directories, roots }: Search, path: string, items: Map<TreePath, SegmentItem>): void {
  const found = directories.resolve(path, roots);
  if (found?.type !== 'file') return;
  const file = `${directories.root}/${found.path}`;
  const stats = lstatSync(file);
  for (const { path: place, target } of found.links) items.set(inInitrd(place), { kind: 'link', target });
  const content = { file: Buffer.from(file), size: stats.size };
  const mtime = Math.floor(stats.mtimeMs / 1000);
  items.set(inInitrd(found.place), { kind: 'file', content, mtime });
}

function inInitrd(path: string): TreePath {
  return treePath(path.replace(/^lib\//, 'usr/lib/'));
}

type EntryKind = 'file' | 'directory' | 'link' | 'other';

interface Resolved {
  readonly type: EntryKind;
  /** Without links, relative to the tree. */
  readonly path: string;
  /** Where the initrd has it: behind the links in `links`. */
  readonly place: string;
  readonly links: readonly { readonly path: string; readonly target: string }[];
}

interface DirectoryCache {
  readonly root: string;
  /** Of a directory without links in its path; nothing when there is none. */
  names(path: string): ReadonlyMap<string, EntryKind>;
  isRealDirectory(path: string): boolean;
  /** Follows links; those that stand and lead below `roots` are told, others are replaced by what they lead to. */
  resolve(path: string, roots: readonly string[]): Resolved | undefined;
}

function directoryCache(root: HostPath): DirectoryCache {
  const known = new Map<string, ReadonlyMap<string, EntryKind>>();
  const names = (path: string): ReadonlyMap<string, EntryKind> => {
    const entries = known.get(path) ?? readNames(`${root}/${path}`);
    known.set(path, entries);
    return entries;
  };
  const kindOf = (path: string): EntryKind | undefined =>
    path === '' ? 'directory' : names(parentOf(path)).get(posix.basename(path));
  return {
    ...{ root, names },
    isRealDirectory: (path) =>
      path.split('/').every((_, index, parts) => kindOf(parts.slice(0, index + 1).join('/')) === 'directory'),
    resolve: (path, roots) => resolve(path, { root, roots, kindOf }),
  };
}

function parentOf(path: string): string {
  const parent = posix.dirname(path);
  return parent === '.' ? '' : parent;
}

function readNames(directory: string): ReadonlyMap<string, EntryKind> {
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    return new Map(
      entries.map((entry) => {
        if (entry.isSymbolicLink()) return [entry.name, 'link'];
        return [entry.name, entry.isDirectory() ? 'directory' : entry.isFile() ? 'file' : 'other'];
      }),
    );
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return new Map();
    throw error;
  }
}

interface Walk {
  readonly root: string;
  readonly roots: readonly string[];
  readonly kindOf: (path: string) => EntryKind | undefined;
}

function resolve(path: string, walk: Walk): Resolved | undefined {
  const links: { path: string; target: string }[] = [];
  let place: string | undefined;
  let here = path;
  for (let followed = 0; followed <= maximumLinks; followed++) {
    const found = firstLink(here, walk);
    if (found === undefined) return undefined;
    if (found.link === undefined)
      return { type: found.type, path: found.path, place: place ?? found.path, links };
    const { link, rest } = found;
    const target = readlinkSync(`${walk.root}/${link}`);
    const next = posix.resolve('/', posix.dirname(link), target).slice(1);
    // /lib is a link to usr/lib on most systems, and the initrd has only the latter.
    const merged = isBelow(next, walk.roots) ? next : next.replace(/^lib\//, 'usr/lib/');
    const staysInside = isBelow(merged, walk.roots);
    if (isBelow(link, walk.roots) && place === undefined) {
      // A link that leads elsewhere is replaced by what it leads to: the initrd has its own rest of the system.
      if (staysInside) links.push({ path: link, target });
      else place = posix.join(link, rest);
    }
    here = posix.join(staysInside ? merged : next, rest);
  }
  return undefined;
}

type Step =
  | { readonly type: EntryKind; readonly path: string; readonly link?: undefined }
  | { readonly link: string; readonly rest: string };

/** The first link on a path, or what stands at its end when there is none on the way. */
function firstLink(path: string, { kindOf }: Walk): Step | undefined {
  const parts = posix.normalize(path).split('/');
  for (const index of parts.keys()) {
    const prefix = parts.slice(0, index + 1).join('/');
    const kind = kindOf(prefix);
    const isLast = index === parts.length - 1;
    if (kind === undefined || (!isLast && kind !== 'link' && kind !== 'directory')) return undefined;
    if (kind === 'link') return { link: prefix, rest: parts.slice(index + 1).join('/') };
    if (isLast) return { type: kind, path: prefix };
  }
  return undefined;
}

function isBelow(path: string, roots: readonly string[]): boolean {
  return roots.some((root) => path.startsWith(`${root}/`));
}
