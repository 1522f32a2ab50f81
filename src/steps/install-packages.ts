import { readFile } from 'node:fs/promises';
import type { HostPath } from '../base/brand.ts';
import { treePath } from '../base/brand.ts';
import { MkimgError } from '../base/errors.ts';
import { architectures } from '../distro/architectures.ts';
import type { InstalledPackage } from '../distro/dpkg-status.ts';
import { unpackRounds } from '../distro/package-order.ts';
import type { ResolvedPackage } from '../distro/resolved.ts';
import { parseResolvedPackages } from '../distro/resolved.ts';
import type { Tree } from '../sandbox/tree.ts';
import { treeAt } from '../sandbox/tree.ts';
import { extractPackages, layOutTree } from './apt/bootstrap.ts';
import { Dpkg } from './apt/dpkg.ts';
import { fetchPackages } from './apt/fetch.ts';
import { importMadePackages } from './apt/local-packages.ts';
import type { BuildContext, TreeStep } from './implementation.ts';
import { installedPackages } from './installed-packages.ts';

/** Downloads and installs exactly what was resolved; in a tree with packages only what is missing or different. */
export const installPackages: TreeStep<'install-packages'> = {
  output: 'tree',
  version: 3,
  tools: [
    { tool: 'dpkg-deb', minimum: '1.21', reason: 'extracting packages' },
    { tool: 'tar', minimum: '1.27', reason: 'extracting packages' },
    { tool: 'xargs', reason: 'extracting packages on all processors' },
    { tool: 'find', reason: 'setting the times of directories' },
    { tool: 'touch', reason: 'setting the times of directories' },
  ],

  async run(inputs, root, context) {
    const { packages } = parseResolvedPackages(await readFile(inputs.resolved.path, 'utf8'));
    const tree = treeAt(root);
    const installed = await installedPackages(tree);
    const wanted = packages.filter((entry) => !isInstalled(entry, installed));
    await importMadePackages(inputs.packages ?? [], wanted, context);
    await fetchPackages(wanted, context);

    const native = architectures[inputs.architecture].debian;
    await layOutTree(tree, native);
    await addForeignArchitectures(tree, native, packages);
    const dpkg = new Dpkg(root, inputs, context);
    await dpkg.prepare();
    const isNew = installed.length === 0;
    const base = isNew ? wanted.filter((entry) => entry.base) : [];
    if (isNew) await installBase({ base, root, dpkg, context }, inputs.documentation);
    await installRest(
      wanted.filter((entry) => !base.includes(entry)),
      dpkg,
    );
    if (wanted.length > 0) await dpkg.configurePending({ force: false, triggers: true });
    await checkResult(tree, wanted);
  },
};

function isInstalled(entry: ResolvedPackage, installed: readonly InstalledPackage[]): boolean {
  return installed.some(
    (other) =>
      other.name === entry.name &&
      other.architecture === entry.architecture &&
      other.version === entry.version &&
      other.state === 'installed',
  );
}

interface Base {
  readonly base: readonly ResolvedPackage[];
  readonly root: HostPath;
  readonly dpkg: Dpkg;
  readonly context: BuildContext;
}

/**
 * The first packages of a system. Their maintainer scripts may use any essential package, so all are extracted first, and
 * then installed once more by dpkg in the order that debootstrap has found to work: pre-dependencies cannot be kept here.
 */
async function installBase({ base, root, dpkg, context }: Base, documentation: boolean): Promise<void> {
  await extractPackages(base, root, { documentation, context });
  await dpkg.unpack(base, true);
  // Maintainer scripts of others use its users and groups.
  await dpkg.configure(
    base.filter((entry) => entry.name === 'base-passwd'),
    true,
  );
  await dpkg.configurePending({ force: true, triggers: false });
}

/** All other packages: unpacked in as few runs as Pre-Depends allows, configured by the caller in one. */
async function installRest(packages: readonly ResolvedPackage[], dpkg: Dpkg): Promise<void> {
  for (const round of unpackRounds(packages)) {
    await dpkg.configure(round.configure, round.isForced);
    await dpkg.unpack(round.unpack, round.isForced);
  }
}

async function addForeignArchitectures(
  tree: Tree,
  native: string,
  packages: readonly ResolvedPackage[],
): Promise<void> {
  const names = new Set(packages.map(({ architecture }) => architecture));
  names.delete('all');
  names.delete(native);
  if (names.size === 0) return;
  const path = treePath('var/lib/dpkg/arch');
  const known = ((await tree.readText(path)) ?? `${native}\n`).split('\n').filter((line) => line !== '');
  await tree.writeText(path, `${[...new Set([...known, ...names])].join('\n')}\n`);
}

/** dpkg's exit code does not tell of packages that only wait for a trigger. */
async function checkResult(tree: Tree, wanted: readonly ResolvedPackage[]): Promise<void> {
  const installed = await installedPackages(tree);
  const broken = wanted.filter((entry) => !isInstalled(entry, installed));
  if (broken.length === 0) return;
  const names = broken.map((entry) => entry.name);
  throw new MkimgError('package-failed', `These packages are not fully installed: ${names.join(', ')}.`, {
    items: names,
  });
}
