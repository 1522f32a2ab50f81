import {
  chmodSync,
  constants,
  copyFileSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { MkimgError } from '../../base/errors.ts';
import type { HostPackage } from '../../distro/host-packages.ts';
import type { ResolvedPackage } from '../../distro/resolved.ts';
import type { HostDatabase } from './database.ts';
import { readHostDatabase } from './database.ts';
import type { InventoryItem } from './inventory.ts';
import { md5, takeInventory } from './inventory.ts';

const scheme = 'installed:';

/** What stands in a list of resolved packages in place of an address for a package that is made of installed files. */
export function installedUrl(root: HostPath): string {
  return `${scheme}${encodeURI(root)}`;
}

/** The root of the system that the files of a package are taken from; undefined for packages that are files. */
export function installedRoot({ urls: [url = ''] }: Pick<ResolvedPackage, 'urls'>): HostPath | undefined {
  return url.startsWith(scheme) ? hostPath(decodeURI(url.slice(scheme.length))) : undefined;
}

/**
 * Makes the content of packages out of the files that are installed, in the form of unpacked packages: a directory for
 * each below `directory`, in the order given.
 * @throws MkimgError `host-package-changed` for a package that is not any more as it was when it was chosen
 */
export async function repackInstalled(
  packages: readonly ResolvedPackage[],
  directory: HostPath,
): Promise<readonly HostPath[]> {
  const databases = new Map<HostPath, HostDatabase>();
  const made: HostPath[] = [];
  for (const entry of packages) {
    const root = installedRoot(entry);
    if (root === undefined) throw new Error(`internal: ${entry.name} is not made of installed files`);
    const database = databases.get(root) ?? (await readHostDatabase(root));
    databases.set(root, database);
    const target = hostPath(join(directory, entry.sha256));
    await repackOne(entry, database, target);
    made.push(target);
  }
  return made;
}

async function repackOne(entry: ResolvedPackage, database: HostDatabase, target: HostPath): Promise<void> {
  const installed = installedPackage(entry, database);
  mkdirSync(join(target, 'control'), { recursive: true });
  const data = new DataDirectory(join(target, 'data'));
  const inventory = await takeInventory(database, installed, (item) => data.copy(item));
  if (inventory.digest !== entry.sha256) throw changedPackage(entry);
  for (const item of inventory.items) data.finish(item);
  const members = inventory.items.map(
    ({ path, type }) => `./${path}${type === 'directory' && path !== '' ? '/' : ''}\n`,
  );
  writeFileSync(join(target, 'members'), Buffer.from(members.join(''), 'latin1'));
  for (const file of inventory.control) {
    const path = join(target, 'control', file.name);
    writeFileSync(path, file.content);
    chmodSync(path, file.mode);
  }
}

/** Where the files of one package are put, as dpkg would unpack them. */
class DataDirectory {
  readonly #prefix: Buffer;
  readonly #directories = new Set<string>();
  /** Copies of files that have several names. */
  readonly #copies = new Map<string, Buffer>();

  constructor(path: string) {
    mkdirSync(path);
    this.#prefix = Buffer.from(`${path}/`);
  }

  /** Copies the content of a file and returns the copy's digest, so that what is checked is what was copied. */
  copy(item: InventoryItem): string {
    const target = this.#targetOf(item);
    const first = item.inode === undefined ? undefined : this.#copies.get(item.inode);
    if (first === undefined) copyFileSync(item.at, target, constants.COPYFILE_FICLONE);
    else linkSync(first, target);
    if (item.inode !== undefined) this.#copies.set(item.inode, first ?? target);
    return md5(readFileSync(target));
  }

  /** Makes what has no content, and sets owner, mode and time. */
  finish(item: InventoryItem): void {
    const target = this.#targetOf(item);
    if (item.type === 'directory') mkdirSync(target, { recursive: true });
    if (item.type === 'symlink') symlinkSync(readlinkSync(item.at, 'buffer'), target);
    lchownSync(target, item.uid, item.gid);
    if (item.type !== 'symlink') chmodSync(target, item.mode);
    if (item.type !== 'directory') lutimesSync(target, item.mtime, item.mtime);
  }

  #targetOf({ path }: InventoryItem): Buffer {
    const relative = Buffer.from(path, 'latin1');
    const slash = relative.lastIndexOf('/');
    const parent = path.slice(0, Math.max(slash, 0));
    if (!this.#directories.has(parent)) {
      mkdirSync(Buffer.concat([this.#prefix, Buffer.from(parent, 'latin1')]), { recursive: true });
      this.#directories.add(parent);
    }
    return Buffer.concat([this.#prefix, relative]);
  }
}

/**
 * What dpkg's database has of a resolved package.
 * @throws MkimgError `host-package-changed`
 */
export function installedPackage(entry: ResolvedPackage, { packages }: HostDatabase): HostPackage {
  const { name, version, architecture } = entry;
  const installed = packages.find(
    (other) => other.name === name && other.version === version && other.architecture === architecture,
  );
  if (installed === undefined) throw changedPackage(entry);
  return installed;
}

export function changedPackage({ name, version }: ResolvedPackage): MkimgError {
  return new MkimgError(
    'host-package-changed',
    `The files of ${name} ${version} on this system are not as they were when the package was chosen.`,
    { hint: 'Packages may be installed or removed at this moment: try again when that is done.' },
  );
}
