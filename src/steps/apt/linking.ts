import {
  chmodSync,
  chownSync,
  copyFileSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readlinkSync,
  symlinkSync,
} from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { HostPath } from '../../base/brand.ts';
import { isErrno } from '../../base/errors.ts';
import type { Member } from './unpacked.ts';

/** A package as far as the place of its files goes. */
export interface LinkSource {
  readonly members: readonly Member[];
  /** Paths of configuration files, without the leading slash. */
  readonly conffiles: ReadonlySet<string>;
  /** Its configuration files are put in place at once: maintainer scripts of others may read them. */
  readonly isBase: boolean;
}

export interface LinkOptions {
  /** Top directories that are links into /usr, such as `bin`. */
  readonly merged: readonly string[];
  readonly documentation: boolean;
  /** What is removed later anyway, by its place in the tree. */
  readonly leavesOut?: (place: string) => boolean;
  /** The tree that all this is to lie above; absent for a new tree. */
  readonly below?: TreeBelow;
}

/** What a tree has, as far as links above it have to know. Paths are relative, bytes as Latin-1. */
export interface TreeBelow {
  /** A directory with what the one above it takes over, `other` for anything else, undefined where nothing is. */
  at(path: string): Omit<PlannedDirectory, 'path'> | 'other' | undefined;
  /** Whether its package manager wants files of this path somewhere else, or with another owner. */
  isClaimed(path: string): boolean;
}

export interface PlannedDirectory {
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface PlannedLink {
  /** Index of the package. */
  readonly source: number;
  readonly from: string;
  readonly to: string;
}

/** What a tree of packages consists of. Paths are relative, bytes as Latin-1; directories stand before what is in them. */
export interface LinkPlan {
  readonly directories: readonly PlannedDirectory[];
  readonly links: readonly PlannedLink[];
}

/**
 * Where the files of packages go in a new tree, as dpkg would unpack them: what two packages have is a directory in both;
 * configuration files wait as `.dpkg-new`. Pure but for what `below` looks up.
 * @returns the reason when it takes dpkg to decide, as for a file that is in two packages.
 */
export function planLinks(
  sources: readonly LinkSource[],
  options: LinkOptions,
): LinkPlan | { readonly reason: string } {
  const planner = new LinkPlanner(options);
  for (const [index, source] of sources.entries()) {
    for (const member of source.members) {
      const reason = planner.add(member, { source, index });
      if (reason !== undefined) return { reason };
    }
  }
  return planner.plan();
}

interface Owner {
  readonly source: LinkSource;
  readonly index: number;
}

class LinkPlanner {
  readonly #options: LinkOptions;
  readonly #types = new Map<string, 'directory' | 'link'>();
  readonly #directories: PlannedDirectory[] = [];
  readonly #links: PlannedLink[] = [];

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  plan(): LinkPlan {
    return { directories: this.#directories, links: this.#links };
  }

  /** Returns why the member cannot be placed. */
  add(member: Member, { source, index }: Owner): string | undefined {
    if (this.#isExcluded(member)) return undefined;
    const isConffile = source.conffiles.has(member.path);
    if (isConffile && member.type !== 'file') return `the configuration file /${member.path} is no file`;
    const path = this.#placeOf(member);
    if (path.split('/').includes('..')) return `/${member.path} leads out of the tree`;
    if (member.type === 'directory') return this.#addDirectory(path, member);
    const reason = this.#addParents(path) ?? this.#take(path);
    if (reason !== undefined) return reason;
    if (!isConffile || source.isBase) this.#links.push({ source: index, from: member.path, to: path });
    if (isConffile) this.#links.push({ source: index, from: member.path, to: `${path}.dpkg-new` });
    return undefined;
  }

  #isExcluded(member: Member): boolean {
    const { documentation, leavesOut } = this.#options;
    if (member.path === '' || (!documentation && isDocumentation(member))) return true;
    return leavesOut?.(this.#placeOf(member)) === true;
  }

  #placeOf({ path, type }: Member): string {
    const [top = ''] = path.split('/');
    // The link /bin itself may be a package's, too.
    const isBelow = type === 'directory' || path !== top;
    return isBelow && this.#options.merged.includes(top) ? `usr/${path}` : path;
  }

  #addDirectory(path: string, { mode, uid, gid }: Omit<PlannedDirectory, 'path'>): string | undefined {
    const known = this.#types.get(path);
    // The first package gives a directory its mode and owner, as with dpkg.
    if (known === 'directory') return undefined;
    const below = this.#options.below?.at(path);
    if (known !== undefined || below === 'other') {
      return `/${path} is a directory in one package and something else in another`;
    }
    const reason = this.#addParents(path);
    if (reason !== undefined) return reason;
    this.#types.set(path, 'directory');
    this.#directories.push({ mode, uid, gid, ...below, path });
    return undefined;
  }

  #addParents(path: string): string | undefined {
    const end = path.lastIndexOf('/');
    if (end < 0) return undefined;
    return this.#addDirectory(path.slice(0, end), { mode: 0o755, uid: 0, gid: 0 });
  }

  #take(path: string): string | undefined {
    const { below } = this.#options;
    if (below?.isClaimed(path) === true) return `/${path} is diverted, or has an owner of its own`;
    if (this.#types.has(path) || below?.at(path) !== undefined) return `/${path} is in two packages`;
    this.#types.set(path, 'link');
    return undefined;
  }
}

/** What dpkg's path filters of dpkg.ts leave out, with its rule that links and directories stay where files may. */
export function isDocumentation({ path, type }: Pick<Member, 'path' | 'type'>): boolean {
  if (path.startsWith('usr/share/doc/')) {
    return type !== 'directory' && type !== 'symlink' && !path.endsWith('/copyright');
  }
  if (path.startsWith('usr/share/man/')) return path.slice('usr/share/man/'.length).includes('/');
  return ['usr/share/info/', 'usr/share/groff/', 'usr/share/gtk-doc/'].some((start) =>
    path.startsWith(start),
  );
}

/** Calls between two looks at the event loop. */
const batch = 1000;

/** Makes the directories and links of a plan. `put` puts the file behind a link in its place. */
export async function makeLinks(
  root: HostPath,
  plan: LinkPlan,
  { put, signal }: { put: (link: PlannedLink, target: Buffer) => void; signal: AbortSignal },
): Promise<void> {
  const prefix = Buffer.from(`${root}/`);
  const at = (path: string): Buffer => Buffer.concat([prefix, Buffer.from(path, 'latin1')]);
  for (const { path, mode, uid, gid } of plan.directories) {
    const directory = at(path);
    mkdirSync(directory);
    if (uid !== 0 || gid !== 0) chownSync(directory, uid, gid);
    chmodSync(directory, mode);
  }
  for (const [index, link] of plan.links.entries()) {
    put(link, at(link.to));
    if (index % batch !== 0) continue;
    await setImmediate();
    signal.throwIfAborted();
  }
}

/** File systems limit the names of one file (ext4: 65000), and some have no second names at all. */
export function linkOrCopy(from: string | Buffer, to: string | Buffer): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if (!isErrno(error, 'EMLINK', 'EPERM', 'ENOTSUP', 'EXDEV')) throw error;
    copyOne(from, to);
  }
}

function copyOne(from: string | Buffer, to: string | Buffer): void {
  const stats = lstatSync(from);
  if (stats.isSymbolicLink()) symlinkSync(readlinkSync(from, 'buffer'), to);
  else copyFileSync(from, to);
  lchownSync(to, stats.uid, stats.gid);
  if (!stats.isSymbolicLink()) chmodSync(to, stats.mode & 0o7777);
  lutimesSync(to, stats.atime, stats.mtime);
}
