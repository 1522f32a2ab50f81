import { readFile, writeFile } from 'node:fs/promises';
import { allOf } from '../base/concurrency.ts';
import { architectures } from '../distro/architectures/index.ts';
import { formatResolvedPackages, parseResolvedPackages } from '../distro/resolved.ts';
import { importMadePackages } from './apt/local-packages.ts';
import { packageDirectories } from './apt/unpacked.ts';
import type { FileStep } from './implementation.ts';
import { packagesNeed } from './needed-space.ts';

/** Downloads and extracts packages into the store while there is no tree yet that they could be linked into. */
export const extractPackages: FileStep<'extract-packages'> = {
  output: 'file',
  version: 1,
  memory: 256 << 20,
  tools: [
    { tool: 'dpkg-deb', minimum: '1.21', reason: 'extracting packages' },
    { tool: 'tar', minimum: '1.27', reason: 'extracting packages' },
    { tool: 'xargs', reason: 'extracting packages on all processors' },
  ],
  needs: packagesNeed,
  async run(inputs, target, context) {
    const { packages: resolved } = parseResolvedPackages(await readFile(inputs.resolved.path, 'utf8'));
    const native = architectures[inputs.architecture].names.debian;
    // Packages of several architectures are unpacked by dpkg, and installed files are taken from where they are.
    const isLinked = resolved.every(({ architecture }) => [native, 'all'].includes(architecture));
    const packages = isLinked ? resolved.filter(({ repacked }) => repacked === undefined) : [];
    await importMadePackages(inputs.packages ?? [], packages, context);
    // The base set comes first: it is set up while the others are extracted.
    const sets = [true, false].map((base) => packages.filter((entry) => entry.base === base));
    await allOf(sets.map((set) => () => packageDirectories(set, context)));
    await writeFile(target, formatResolvedPackages(packages));
    return { packages: packages.length };
  },
};
