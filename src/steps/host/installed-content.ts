import {
  chmodSync,
  constants,
  copyFileSync,
  lchownSync,
  linkSync,
  lutimesSync,
  readlinkSync,
  symlinkSync,
} from 'node:fs';
import type { HostPath } from '../../base/brand.ts';
import type { ResolvedPackage } from '../../distro/resolved.ts';
import type { HostDatabase } from './database.ts';
import { readHostDatabase } from './database.ts';
import { FileDigests, sightOf } from './file-digests.ts';
import type { Inventory, InventoryItem } from './inventory.ts';
import { takeInventory } from './inventory.ts';
import { changedPackage, installedPackage, installedRoot } from './repack.ts';

/** What is installed of a package, to be copied from where it is. */
export interface InstalledContent {
  readonly entry: ResolvedPackage;
  readonly inventory: Inventory;
  /**
   * Copies one thing of it, a directory excepted.
   * @throws MkimgError `host-package-changed` when the file was changed meanwhile
   */
  readonly copy: (path: string, target: Buffer) => void;
}

/**
 * The content of packages that are made of installed files.
 * @throws MkimgError `host-package-changed` for a package that is not any more as it was when it was chosen
 */
export async function installedContent(
  packages: readonly ResolvedPackage[],
  metadataCache: HostPath,
): Promise<readonly InstalledContent[]> {
  const databases = new Map<HostPath, HostDatabase>();
  const digests = await FileDigests.open(metadataCache);
  const contents: InstalledContent[] = [];
  for (const entry of packages) {
    const root = installedRoot(entry);
    if (root === undefined) throw new Error(`internal: ${entry.name} is not made of installed files`);
    const database = databases.get(root) ?? (await readHostDatabase(root));
    databases.set(root, database);
    const sights = new Map<string, string>();
    const inventory = await takeInventory(database, installedPackage(entry, database), (item) => {
      sights.set(item.path, sightOf(item)[0]);
      return digests.read(item);
    });
    if (inventory.digest !== entry.sha256) throw changedPackage(entry);
    const copier = new Copier(entry, inventory, sights);
    contents.push({ entry, inventory, copy: (path, target) => copier.copy(path, target) });
  }
  await digests.save();
  return contents;
}

class Copier {
  readonly #entry: ResolvedPackage;
  readonly #items: ReadonlyMap<string, InventoryItem>;
  readonly #sights: ReadonlyMap<string, string>;
  /** Copies of files that have several names. */
  readonly #copies = new Map<string, Buffer>();

  constructor(entry: ResolvedPackage, { items }: Inventory, sights: ReadonlyMap<string, string>) {
    this.#entry = entry;
    this.#items = new Map(items.map((item) => [item.path, item]));
    this.#sights = sights;
  }

  copy(path: string, target: Buffer): void {
    const item = this.#items.get(path);
    if (item === undefined) throw new Error(`internal: /${path} is not in ${this.#entry.name}`);
    if (item.type === 'symlink') symlinkSync(readlinkSync(item.at, 'buffer'), target);
    else if (this.#linkToCopy(item, target)) return;
    else this.#copyFile(item, target);
    if (item.uid !== 0 || item.gid !== 0) lchownSync(target, item.uid, item.gid);
    if (item.type !== 'symlink') chmodSync(target, item.mode);
    lutimesSync(target, item.mtime, item.mtime);
  }

  #linkToCopy({ inode }: InventoryItem, target: Buffer): boolean {
    const first = inode === undefined ? undefined : this.#copies.get(inode);
    if (first !== undefined) linkSync(first, target);
    else if (inode !== undefined) this.#copies.set(inode, target);
    return first !== undefined;
  }

  #copyFile(item: InventoryItem, target: Buffer): void {
    copyFileSync(item.at, target, constants.COPYFILE_FICLONE);
    if (sightOf(item)[0] !== this.#sights.get(item.path)) throw changedPackage(this.#entry);
  }
}
