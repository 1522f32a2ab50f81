import { writeFile } from 'node:fs/promises';
import { byNameAndArchitecture } from '../distro/resolved.ts';
import type { InstalledPackage } from '../distro/dpkg-status.ts';
import { treeAt } from '../sandbox/tree.ts';
import type { FileStep } from './implementation.ts';
import { installedPackages } from './installed-packages.ts';

/** The package list of a tree in the form of mkosi's manifest, version 1. */
export const manifest: FileStep<'manifest'> = {
  output: 'file',
  version: 1,
  tools: [],
  async run(inputs, target) {
    const packages = await installedPackages(treeAt(inputs.tree.root));
    await writeFile(target, manifestText(inputs.image, packages));
    return { packages: packages.length };
  },
};

/** The manifest; sizes are what the installed files need, in bytes. */
export function manifestText(
  image: Readonly<Record<string, string>>,
  packages: readonly InstalledPackage[],
): string {
  const document = {
    manifest_version: 1,
    config: image,
    packages: [...packages].sort(byNameAndArchitecture).map(({ name, version, architecture, size }) => ({
      type: 'deb',
      name,
      version,
      architecture,
      size,
    })),
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}
