import { mkdir } from 'node:fs/promises';
import picomatch from 'picomatch';
import { MkimgError } from '../base/errors.ts';
import type { InstalledPackage } from '../distro/dpkg-status.ts';
import { treeAt } from '../sandbox/tree.ts';
import { Dpkg, dpkgName } from './apt/dpkg.ts';
import type { BuildContext, TreeStep } from './implementation.ts';
import { installedPackages } from './installed-packages.ts';

/** Removes packages with their configuration (RemovePackages=). Names may hold wildcards. */
export const removePackages: TreeStep<'remove-packages'> = {
  output: 'tree',
  version: 1,
  tools: [],

  async run(inputs, root, context) {
    const installed = await installedPackages(treeAt(root));
    const { names, missing } = packagesToRemove(inputs.names, installed);
    if (missing.length > 0) throw notInstalled(missing, context);
    await mkdir(context.packagePool, { recursive: true });
    const { architecture } = inputs;
    const options = { documentation: true, bootable: true, environment: {}, architecture };
    const dpkg = new Dpkg(root, options, context);
    await dpkg.prepare();
    try {
      await dpkg.purge(names);
    } catch (error) {
      throw stillNeeded(error, context) ?? error;
    }
  },
};

/** The installed packages that the user's names and patterns mean, and those of the names that mean nothing. */
export function packagesToRemove(
  wanted: readonly string[],
  installed: readonly Pick<InstalledPackage, 'name' | 'architecture'>[],
): { readonly names: readonly string[]; readonly missing: readonly string[] } {
  const names = new Set<string>();
  const missing: string[] = [];
  for (const pattern of wanted) {
    const [name = '', architecture] = pattern.split(':');
    const isMatch = picomatch(name);
    const found = installed.filter(
      (entry) => isMatch(entry.name) && (architecture === undefined || architecture === entry.architecture),
    );
    if (found.length === 0) missing.push(pattern);
    for (const entry of found) names.add(dpkgName(entry));
  }
  return { names: [...names], missing };
}

function notInstalled(missing: readonly string[], { origin }: BuildContext): MkimgError {
  return new MkimgError('package-not-installed', `Cannot remove ${missing.join(', ')}: not installed.`, {
    hint: 'Remove the name from RemovePackages=; the manifest lists what is installed.',
    items: missing,
    ...(origin === undefined ? {} : { origin }),
  });
}

/** dpkg's list of who depends on what, as one sentence. */
function stillNeeded(error: unknown, { origin }: BuildContext): MkimgError | undefined {
  if (!(error instanceof MkimgError)) return undefined;
  const reasons = error.tail.filter((line) => /^ \S+.* depends on /.test(line)).map((line) => line.trim());
  if (reasons.length === 0) return undefined;
  return new MkimgError('package-needed', `Packages to remove are still needed: ${reasons.join(' ')}`, {
    hint: 'Name the packages that depend on them in RemovePackages= too, or use RemoveFiles=.',
    tail: error.tail,
    cause: error,
    ...(origin === undefined ? {} : { origin }),
  });
}
