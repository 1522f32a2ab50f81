import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { byBytes } from '../../base/canonical.ts';
import { libraryPackages } from '../../distro/tables/debian-libraries.ts';
import { resolveInTree } from '../../sandbox/resolve.ts';
import { namesOf, textOf } from '../host/database.ts';

/**
 * Names that the packages of libraries may have, by soname, best first: those that have them on a running system, else by a
 * table.
 */
export async function packagesOfLibraries(
  sonames: readonly string[],
  host: HostPath | undefined,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const owners = host === undefined ? new Map<string, string[]>() : await ownersOn(host, new Set(sonames));
  return new Map(sonames.map((soname) => [soname, owners.get(soname) ?? libraryPackages(soname)]));
}

/** By dpkg's lists of files: the packages that have a file of this name among the libraries. */
async function ownersOn(root: HostPath, sonames: ReadonlySet<string>): Promise<Map<string, string[]>> {
  const { path: info } = await resolveInTree(root, 'var/lib/dpkg/info', 'follow');
  const owners = new Map<string, string[]>();
  const lists = namesOf(info).filter((name) => name.endsWith('.list'));
  for (const list of lists.sort(byBytes)) {
    const text = textOf(join(info, list));
    if (!text.includes('.so')) continue;
    for (const [, soname = ''] of text.matchAll(
      /^(?:\/usr)?\/lib(?:\/[^/\n]+-linux-[^/\n]+)?\/([^/\n]+)$/gm,
    )) {
      if (!sonames.has(soname)) continue;
      const owner = list.slice(0, -'.list'.length).replace(/:.*$/, '');
      owners.set(soname, [...(owners.get(soname) ?? []), owner]);
    }
  }
  return owners;
}
