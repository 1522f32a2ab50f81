import type { HostPath } from '../../base/brand.ts';
import { treePath } from '../../base/brand.ts';
import { architectures } from '../../distro/architectures/index.ts';
import type { ResolvedPackage } from '../../distro/resolved.ts';
import { shellCommand } from '../../sandbox/text.ts';
import type { Tree } from '../../sandbox/tree.ts';
import type { BuildContext } from '../implementation.ts';
import { documentationTarExcludes } from './dpkg.ts';

/** Top directories that are links to those of the same name in /usr. `architecture` is Debian's name. */
export function mergedDirectories(architecture: string): readonly string[] {
  const row = Object.values(architectures).find(({ names }) => names.debian === architecture);
  const lib64 = row?.loader.startsWith('/lib64/') === true;
  return ['bin', 'sbin', 'lib', ...(lib64 ? ['lib64'] : [])];
}

/**
 * What dpkg needs before it can unpack the first package: its database, and the top directories as links into /usr,
 * which packages expect to find and do not make themselves. What a skeleton tree has brought stays.
 */
export async function layOutTree(tree: Tree, architecture: string): Promise<void> {
  for (const name of mergedDirectories(architecture)) {
    await tree.mkdir(treePath(`usr/${name}`));
    if ((await tree.type(treePath(name))) === undefined) await tree.symlink(treePath(name), `usr/${name}`);
  }
  for (const name of ['info', 'updates', 'triggers']) await tree.mkdir(treePath(`var/lib/dpkg/${name}`));
  for (const name of ['status', 'available']) {
    const path = treePath(`var/lib/dpkg/${name}`);
    if ((await tree.type(path)) === undefined) await tree.writeText(path, '');
  }
}

/**
 * For sh: extracts the package file $1; options of tar follow. The exit code is that of tar, which fails as well when
 * dpkg-deb stops in the middle of the archive.
 */
const extractScript = 'dpkg-deb --fsys-tarfile "$1" | tar --extract --file=-';

/** xargs(1) that extracts the package files named on its standard input, several at once. */
export function extractArgv(jobs: number, documentation: boolean): string[] {
  const tar = [
    '--directory=/buildroot',
    // Otherwise a package with ./lib as a directory would replace the link to usr/lib.
    '--keep-directory-symlink',
    // Names of users would be looked up among those of the tools.
    '--numeric-owner',
    ...(documentation ? [] : documentationTarExcludes),
  ];
  return ['-0', '-n', '1', '-P', String(jobs), 'sh', '-c', `${extractScript} ${shellCommand(tar)}`, 'sh'];
}

/** Extracts the data of packages into a tree, so that there is a system in which their maintainer scripts can run. */
export async function extractPackages(
  packages: readonly ResolvedPackage[],
  root: HostPath,
  options: { readonly documentation: boolean; readonly context: BuildContext },
): Promise<void> {
  const { context, documentation } = options;
  const buildroot = { source: root, target: '/buildroot', mode: 'dev' } as const;
  await context.sandbox.run({
    tool: 'xargs',
    argv: extractArgv(context.jobs, documentation),
    input: packages.map((entry) => `/packages/${entry.sha256}.deb\0`).join(''),
    mounts: [{ source: context.packagePool, target: '/packages', mode: 'ro' }, buildroot],
    purpose: 'extracting the base packages',
  });
  // Whether a directory keeps the time of its package depends on which of two packages came last.
  await context.sandbox.run({
    tool: 'find',
    argv: ['/buildroot', '-type', 'd', '-exec', 'touch', '{}', '+'],
    mounts: [buildroot],
    purpose: 'setting the times of directories',
  });
}
