import { treePath } from '../base/brand.ts';
import type { InstalledPackage } from '../distro/dpkg-status.ts';
import { parseDpkgStatus } from '../distro/dpkg-status.ts';
import type { Tree } from '../sandbox/tree.ts';

/** What dpkg's database in a tree lists, whole or half installed; nothing where there is no database. */
export async function installedPackages(tree: Tree): Promise<InstalledPackage[]> {
  return parseDpkgStatus((await tree.readText(treePath('var/lib/dpkg/status'))) ?? '');
}
