import { readFile, writeFile } from 'node:fs/promises';
import { formatResolvedPackages, packagesDigest, parseResolvedPackages } from '../distro/resolved.ts';
import type { FileStep } from './implementation.ts';

/** The packages of the base set. `meta` says how many they are, and what the installation of them is keyed by. */
export const selectBase: FileStep<'select-base'> = {
  output: 'file',
  version: 1,
  contentKeyed: true,
  tools: [],
  async run({ resolved }, target) {
    const { packages } = parseResolvedPackages(await readFile(resolved.path, 'utf8'));
    const base = packages.filter((entry) => entry.base);
    await writeFile(target, formatResolvedPackages(base));
    return { packages: base.length, content: packagesDigest(base) };
  },
};
