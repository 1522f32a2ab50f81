import { treePath } from '../base/brand.ts';
import type { InstalledPackage } from '../distro/dpkg-status.ts';
import { parseDpkgStatus } from '../distro/dpkg-status.ts';
import type { ResolvedPackage } from '../distro/resolved.ts';
import type { Tree } from '../sandbox/tree.ts';

/** What dpkg's database in a tree lists, whole or half installed; nothing where there is no database. */
export async function installedPackages(tree: Tree): Promise<InstalledPackage[]> {
  return parseDpkgStatus((await tree.readText(treePath('var/lib/dpkg/status'))) ?? '');
}

/** Whether a package of a tree is exactly this one. */
export function isSamePackage(
  entry: Pick<ResolvedPackage, 'name' | 'architecture' | 'version'>,
  other: InstalledPackage,
): boolean {
  return (
    other.name === entry.name && other.architecture === entry.architecture && other.version === entry.version
  );
}
