import { writeFile } from 'node:fs/promises';
import { formatResolvedPackages, packagesDigest } from '../distro/resolved.ts';
import { usableState } from './apt/metadata.ts';
import { openRepositorySet, requestArchitectures } from './apt/repository-set.ts';
import { metadataDirectory, resolvePackageRequest } from './apt/resolve.ts';
import type { FileStep } from './implementation.ts';

/**
 * Names to exact packages. The output is a ResolvedPackages document (distro/resolved.ts); `meta` says how many packages
 * it holds, their bytes, and the state of the repositories, which stands outside the document so that news in the archive
 * that do not concern the image change nothing.
 */
export const resolvePackages: FileStep<'resolve-packages'> = {
  output: 'file',
  version: 2,
  memory: 256 << 20,
  contentKeyed: true,
  tools: [
    { tool: 'apt-get', minimum: '2.3', reason: 'choosing packages' },
    { tool: 'apt-cache', reason: 'reading package indexes' },
    { tool: 'dpkg-deb', reason: 'reading local package files' },
  ],

  async state(inputs, context) {
    const sources = {
      set: openRepositorySet(inputs.repositories),
      architectures: requestArchitectures(inputs.architecture, inputs.request.names),
    };
    const directory = await metadataDirectory(sources, context);
    return usableState(directory, context.metadataPolicy, !inputs.repositories.checkValidUntil);
  },

  async run(inputs, target, context) {
    const { packages, state } = await resolvePackageRequest(inputs, context);
    await writeFile(target, formatResolvedPackages(packages));
    const bytes = packages.reduce((sum, entry) => sum + entry.size, 0);
    return {
      packages: packages.length,
      bytes,
      repositoryState: state,
      content: packagesDigest(packages),
    };
  },
};
