import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { HostPath, Sha256 } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { byBytes, digestJson } from '../../base/canonical.ts';
import { isErrno } from '../../base/errors.ts';
import type { HostConffile, HostPackage } from '../../distro/host-packages.ts';
import { resolveInTree } from '../../sandbox/resolve.ts';
import { databaseName } from '../apt/database.ts';
import { isDocumentation } from '../apt/linking.ts';
import type { HostDatabase } from './database.ts';
import { namesOf, textOf } from './database.ts';

/** One thing of a package as the package had it, and where it is now. */
export interface InventoryItem {
  /** Without the leading slash; bytes as Latin-1. '' is the root. */
  readonly path: string;
  readonly type: 'directory' | 'file' | 'symlink';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since the epoch; 0 for directories, whose time is that of the last change in them. */
  readonly mtime: number;
  /** For system calls. */
  readonly at: Buffer;
  /** Files with several names: which of them are the same file. */
  readonly inode: string | undefined;
}

/** What is left of a package on a system. */
export interface Inventory {
  readonly entry: HostPackage;
  readonly items: readonly InventoryItem[];
  readonly control: readonly ControlFile[];
  /** Files that are not as the package brought them, without the leading slash, sorted. */
  readonly modified: readonly string[];
  /** What is not there any more, documentation aside. */
  readonly missing: readonly string[];
  /**
   * It is what the package brought: all files are there, and their digests are those of dpkg's database. What the database
   * does not know, modes and targets of links, is taken as it is.
   */
  readonly isIntact: boolean;
  /** Of all that a package made of it would consist of. */
  readonly digest: Sha256;
  readonly bytes: number;
}

export interface ControlFile {
  readonly name: string;
  readonly content: Buffer;
  readonly mode: number;
}

/** Reads a file whose content counts, and returns its MD5: dpkg's database has those of most files. */
export type Reader = (item: InventoryItem) => string;

/** Reads a file where it is. Thousands of small files: asynchronous calls would take several times as long. */
export const readInPlace: Reader = (item) => md5(readFileSync(item.at));

export function md5(content: Buffer): string {
  return createHash('md5').update(content).digest('hex');
}

/**
 * Finds what an installed package consists of: by dpkg's list of its files, with diversions and overrides undone. Of a
 * configuration file that was changed the package's own is taken where dpkg has put it beside (`.dpkg-dist`, `.dpkg-new`).
 * Never fails for what is missing or cannot be read.
 */
export async function takeInventory(
  database: HostDatabase,
  entry: HostPackage,
  read: Reader = readInPlace,
): Promise<Inventory> {
  const taking = new Taking(database, entry);
  const paths = listedPaths(textOf(join(database.info, `${databaseName(entry)}.list`)));
  const parents = new Set(paths.map((path) => dirname(path)));
  const items: InventoryItem[] = [];
  const digests: string[] = [];
  for (const path of paths) {
    const item = await taking.item(path, parents.has(path));
    const content = item === undefined ? undefined : taking.contentOf(item, read);
    if (item === undefined || content === undefined) {
      taking.miss(path);
      continue;
    }
    items.push(content.item);
    digests.push(content.digest);
  }
  const control = controlFiles(database, entry, new Set(taking.missing));
  const modified = [...taking.modified].sort(byBytes);
  const missing = taking.missing.filter((path) => !isDocumentation({ path, type: 'file' })).sort(byBytes);
  return {
    ...{ entry, items, control, modified, missing },
    isIntact: taking.isVerified && modified.length === 0 && missing.length === 0,
    bytes: taking.bytes,
    digest: digestJson({
      items: items.map(({ path, type, mode, uid, gid, mtime }, index) => [
        ...[path, type, mode, uid, gid, mtime],
        digests[index] ?? '',
      ]),
      control: control.map(({ name, content, mode }) => [name, mode, md5(content)]),
    }),
  };
}

/** Where the configuration files of packages are, on this machine. */
export async function conffilePaths(
  { root }: HostDatabase,
  packages: readonly HostPackage[],
): Promise<readonly string[]> {
  const paths = packages.flatMap(({ conffiles }) => conffiles.map(({ path }) => path));
  const names = paths.map((path) => Buffer.from(path, 'latin1').toString('utf8'));
  return Promise.all(names.map(async (name) => (await resolveInTree(root, name, 'keep')).path));
}

/** `list` has `/.` for the root. */
function listedPaths(text: string): string[] {
  const lines = text.split('\n').filter((line) => line.startsWith('/'));
  return lines
    .map((line) => (line === '/.' ? '' : line.slice(1)))
    .filter((path) => !path.split('/').includes('..'));
}

interface Content {
  readonly item: InventoryItem;
  readonly digest: string;
}

class Taking {
  readonly modified = new Set<string>();
  readonly missing: string[] = [];
  /** Nothing was met of which the database does not say what it was. */
  isVerified = true;
  bytes = 0;
  readonly #database: HostDatabase;
  readonly #name: string;
  readonly #sums: ReadonlyMap<string, string>;
  readonly #conffiles: ReadonlyMap<string, HostConffile>;
  readonly #places: Places;

  constructor(database: HostDatabase, entry: HostPackage) {
    this.#database = database;
    this.#places = placesOf(database);
    this.#name = entry.name;
    this.#sums = parseSums(textOf(join(database.info, `${databaseName(entry)}.md5sums`)));
    const kept = entry.conffiles.filter(({ isObsolete, isRemoved }) => !isObsolete && !isRemoved);
    this.#conffiles = new Map(kept.map((conffile) => [conffile.path, conffile]));
  }

  miss(path: string): void {
    this.missing.push(path);
  }

  /** What is at a path of the package; `isParent`: other files of it are below. */
  async item(path: string, isParent: boolean): Promise<InventoryItem | undefined> {
    const at = await this.#place(this.#placeOf(path));
    const stats = at === undefined ? undefined : lstatOrNothing(at);
    if (at === undefined || stats === undefined) return undefined;
    // A directory of the package may have become a link on this system, as /lib has.
    if (isParent || stats.isDirectory()) return this.#directory({ path, at, stats });
    if (stats.isSymbolicLink()) return { ...this.#leaf({ path, at, stats }), type: 'symlink', mode: 0o777 };
    return stats.isFile() ? this.#leaf({ path, at, stats }) : undefined;
  }

  /** The item, or what stands in for it, and a digest of its content; undefined for what cannot be read. */
  contentOf(item: InventoryItem, read: Reader): Content | undefined {
    if (item.type === 'directory') return { item, digest: '' };
    if (item.type === 'symlink') return { item, digest: readlinkSync(item.at, 'latin1') };
    try {
      const original = this.#originalOf(item);
      const digest = read(original);
      const expected = this.#conffiles.get(item.path)?.md5 ?? this.#sums.get(item.path);
      if (expected === undefined || expected === 'newconffile') this.isVerified = false;
      else if (expected !== digest) this.modified.add(item.path);
      return { item: original, digest };
    } catch (error) {
      if (isErrno(error, 'EACCES', 'EPERM', 'ENOENT', 'EIO')) return undefined;
      throw error;
    }
  }

  /** A configuration file as the package brought it, where that is still on the disk. */
  #originalOf(item: InventoryItem): InventoryItem {
    const conffile = this.#conffiles.get(item.path);
    if (conffile === undefined || readInPlace(item) === conffile.md5) return item;
    for (const ending of ['.dpkg-dist', '.dpkg-new']) {
      const at = Buffer.concat([item.at, Buffer.from(ending)]);
      const stats = lstatOrNothing(at);
      if (stats?.isFile() !== true) continue;
      const other = { ...this.#leaf({ path: item.path, at, stats }), inode: undefined };
      if (readInPlace(other) === conffile.md5) return other;
    }
    return item;
  }

  #placeOf(path: string): string {
    const diversion = this.#database.diversions.get(path);
    return diversion === undefined || diversion.by === this.#name ? path : diversion.to;
  }

  /** Where a path is, with links of directories followed inside the root, and the last one kept. */
  async #place(path: string): Promise<Buffer | undefined> {
    const slash = path.lastIndexOf('/');
    const parent = slash < 0 ? '' : path.slice(0, slash);
    const found = await this.#places.directory(parent);
    if (found === undefined) return undefined;
    return Buffer.concat([Buffer.from(`${found}/`), Buffer.from(path.slice(slash + 1), 'latin1')]);
  }

  #directory({ path, at, stats }: Found): InventoryItem {
    const isLink = stats.isSymbolicLink();
    return {
      ...{ path, at, type: 'directory', mtime: 0, inode: undefined },
      ...(isLink ? { mode: 0o755, uid: 0, gid: 0 } : this.#access({ path, at, stats })),
    };
  }

  #leaf({ path, at, stats }: Found): InventoryItem {
    if (stats.isFile()) this.bytes += stats.size;
    return {
      ...{ path, at, type: 'file', mtime: Math.floor(stats.mtimeMs / 1000) },
      inode: stats.isFile() && stats.nlink > 1 ? `${stats.dev}:${stats.ino}` : undefined,
      ...this.#access({ path, at, stats }),
    };
  }

  /**
   * Owner and mode as the package has them. What an override replaced is not on record; packages make them in place of
   * root's. Ids from 100 on differ between systems, so that no package brings them: a maintainer script gave the file away.
   */
  #access({ path, stats }: Found): Pick<InventoryItem, 'mode' | 'uid' | 'gid'> {
    const mode = stats.mode & 0o7777;
    if (this.#database.overrides.has(path)) {
      this.isVerified = false;
      return { mode: stats.isDirectory() || (mode & 0o111) !== 0 ? 0o755 : 0o644, uid: 0, gid: 0 };
    }
    const isGiven = stats.uid >= firstVaryingId || stats.gid >= firstVaryingId;
    if (!isGiven) return { mode, uid: stats.uid, gid: stats.gid };
    return {
      mode: mode & 0o1777,
      uid: stats.uid >= firstVaryingId ? 0 : stats.uid,
      gid: stats.gid >= firstVaryingId ? 0 : stats.gid,
    };
  }
}

/** Debian Policy 9.2.2: 0 to 99 are the same on all systems. */
const firstVaryingId = 100;

interface Found {
  readonly path: string;
  readonly at: Buffer;
  readonly stats: Stats;
}

const places = new WeakMap<HostDatabase, Places>();

/** What all packages of a system have in common is looked up once. */
function placesOf(database: HostDatabase): Places {
  const known = places.get(database) ?? new Places(database);
  places.set(database, known);
  return known;
}

class Places {
  readonly #root: HostPath;
  readonly #info: HostPath;
  readonly #directories = new Map<string, Promise<HostPath | undefined>>();
  #control: Map<string, string[]> | undefined;

  constructor({ root, info }: HostDatabase) {
    this.#root = root;
    this.#info = info;
  }

  /** Where a directory is, with links followed inside the root. Bytes as Latin-1. */
  directory(path: string): Promise<HostPath | undefined> {
    const known = this.#directories.get(path) ?? this.#resolve(path);
    this.#directories.set(path, known);
    return known;
  }

  /** Names of dpkg's files of a package, without the package's own name. */
  controlNames(name: string): readonly string[] {
    this.#control ??= byPackage(namesOf(this.#info));
    return this.#control.get(name) ?? [];
  }

  async #resolve(path: string): Promise<HostPath | undefined> {
    if (path === '') return this.#root;
    const slash = path.lastIndexOf('/');
    const parent = await this.directory(path.slice(0, Math.max(slash, 0)));
    if (parent === undefined) return undefined;
    const at = hostPath(join(parent, Buffer.from(path.slice(slash + 1), 'latin1').toString('utf8')));
    const stats = lstatOrNothing(Buffer.from(at));
    if (stats?.isSymbolicLink() !== true) return stats && at;
    const resolved = await resolveInTree(this.#root, relative(this.#root, at), 'follow');
    return resolved.exists ? resolved.path : undefined;
  }
}

/** `bash.postinst`, `libc6:amd64.list`: the last part says what it is. */
function byPackage(names: readonly string[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const name of names) {
    const [, owner = '', kind = ''] = /^(.+)\.([a-z0-9]+)$/.exec(name) ?? [];
    groups.set(owner, [...(groups.get(owner) ?? []), kind]);
  }
  return groups;
}

function lstatOrNothing(path: Buffer): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG')) return undefined;
    throw error;
  }
}

/** `md5sums` of a package: a digest and a path on each line. */
function parseSums(text: string): ReadonlyMap<string, string> {
  const lines = text.split('\n').flatMap((line): [string, string][] => {
    const [, sum, path] = /^([0-9a-f]{32}) [ *](?:\.?\/)?(.+)$/.exec(line) ?? [];
    return sum === undefined || path === undefined ? [] : [[path, sum]];
  });
  return new Map(lines);
}

/** What dpkg keeps of a package's control files, with a list of configuration files that are there. */
function controlFiles(
  database: HostDatabase,
  entry: HostPackage,
  missing: ReadonlySet<string>,
): readonly ControlFile[] {
  const prefix = `${databaseName(entry)}.`;
  const files = placesOf(database)
    .controlNames(databaseName(entry))
    .filter((name) => name !== 'list' && name !== 'control')
    .map((name): ControlFile => {
      const path = join(database.info, `${prefix}${name}`);
      const content = Buffer.from(textOf(path), 'latin1');
      const isScript = /^(pre|post)(inst|rm)$|^config$/.test(name);
      const mode = isScript ? 0o755 : 0o644;
      return { name, mode, content: name === 'conffiles' ? withoutMissing(content, missing) : content };
    });
  const control = { name: 'control', mode: 0o644, content: Buffer.from(entry.control, 'latin1') };
  return [control, ...files].sort((left, right) => byBytes(left.name, right.name));
}

function withoutMissing(conffiles: Buffer, missing: ReadonlySet<string>): Buffer {
  const lines = conffiles.toString('latin1').split('\n');
  const kept = lines.filter((line) => !missing.has(line.replace(/^\//, '').trimEnd()));
  return Buffer.from(kept.join('\n'), 'latin1');
}
