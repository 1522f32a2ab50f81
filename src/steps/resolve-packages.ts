import { writeFile } from 'node:fs/promises';
import type { HostPath } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import type { ResolvedPackage } from '../distro/resolved.ts';
import { formatResolvedPackages, packagesDigest } from '../distro/resolved.ts';
import { usableState } from './apt/metadata.ts';
import { openRepositorySet, requestArchitectures } from './apt/repository-set.ts';
import { metadataDirectory, resolvePackageRequest } from './apt/resolve.ts';
import type { Opened } from '../plan/step.ts';
import type { HostPackages, StepInputs } from '../plan/vocabulary.ts';
import { resolveOnHost } from './host/resolve.ts';
import { hostState, recordHostState, recordPath } from './host/state.ts';
import type { BuildContext, FileStep } from './implementation.ts';

/**
 * Names to exact packages. The output is a ResolvedPackages document (distro/resolved.ts); `meta` says how many packages
 * it holds, their bytes, and the state of the repositories, which stands outside the document so that news in the archive
 * that do not concern the image change nothing.
 */
export const resolvePackages: FileStep<'resolve-packages'> = {
  output: 'file',
  version: 4,
  memory: 256 << 20,
  contentKeyed: true,
  tools: [
    { tool: 'apt-get', minimum: '2.3', reason: 'choosing packages' },
    { tool: 'apt-cache', reason: 'reading package indexes' },
    { tool: 'dpkg-deb', reason: 'reading local package files' },
  ],

  async state(inputs, context) {
    const { host } = inputs;
    if (host !== undefined) return hostState(host.root, recordPath(inputs, context.metadataCache));
    const sources = {
      set: openRepositorySet(inputs.repositories),
      architectures: requestArchitectures(inputs.architecture, inputs.request.names),
    };
    const directory = await metadataDirectory(sources, context);
    return usableState(directory, context.metadataPolicy, !inputs.repositories.checkValidUntil);
  },

  async run(inputs, target, context) {
    if (inputs.host !== undefined) return resolveFromHost(inputs, inputs.host, { target, context });
    const { packages, state } = await resolvePackageRequest(inputs, context);
    await writeFile(target, formatResolvedPackages(packages));
    return { ...summary(packages), repositoryState: state };
  },
};

async function resolveFromHost(
  inputs: Opened<StepInputs['resolve-packages']>,
  host: HostPackages,
  { target, context }: { readonly target: HostPath; readonly context: BuildContext },
): Promise<Json> {
  const resolution = await resolveOnHost(inputs, host, context);
  const { packages, leftOut, added } = resolution;
  await writeFile(target, formatResolvedPackages(packages));
  await recordHostState(recordPath(inputs, context.metadataCache), resolution);
  const repacked = packages.filter((entry) => entry.repacked !== undefined).map(({ name }) => name);
  return { ...summary(packages), leftOut, added, repacked };
}

function summary(packages: readonly ResolvedPackage[]) {
  const bytes = packages.reduce((sum, entry) => sum + entry.size, 0);
  return { packages: packages.length, bytes, content: packagesDigest(packages) };
}
