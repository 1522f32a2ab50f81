import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { byBytes } from '../base/canonical.ts';
import { exists, namesIn } from '../base/files.ts';
import { parseResolvedPackages } from '../distro/resolved.ts';
import type { Mount } from '../sandbox/types.ts';
import { packageDirectories } from './apt/unpacked.ts';
import type { FileStep } from './implementation.ts';
import type { KernelModules } from './module-indexes.ts';
import {
  configurationDirectories,
  configurationMount,
  knownDigest,
  moduleIndexes,
} from './module-indexes.ts';

/**
 * Makes the indexes of kernel modules that come in one package each, while other packages are set up. A kernel whose modules
 * are in several packages, or whose configuration is, has its indexes made in the finished tree.
 */
export const indexModules: FileStep<'index-modules'> = {
  output: 'file',
  version: 1,
  memory: 256 << 20,
  tools: [
    { tool: 'depmod', reason: 'indexing kernel modules' },
    { tool: 'dpkg-deb', minimum: '1.21', reason: 'extracting packages' },
    { tool: 'tar', minimum: '1.27', reason: 'extracting packages' },
    { tool: 'xargs', reason: 'extracting packages on all processors' },
  ],
  async run({ extracted }, target, context) {
    const { packages } = parseResolvedPackages(await readFile(extracted.path, 'utf8'));
    const contents = (await packageDirectories(packages, context)).map((path) => join(path, 'data'));
    const configuration = await configurationIn(contents);
    const kernels = configuration === undefined ? [] : await kernelsIn(contents, configuration);
    for (const kernel of kernels) {
      const origin = packages.find((_, index) => isInside(kernel.modules, contents[index]));
      await moduleIndexes(kernel, await knownDigest(kernel, origin?.sha256, context), context);
    }
    await writeFile(target, kernels.map(({ version }) => `${version}\n`).join(''));
    return undefined;
  },
};

function isInside(path: HostPath, directory: string | undefined): boolean {
  return directory !== undefined && path.startsWith(`${directory}/`);
}

/** The depmod.d directories of a system of these packages; undefined where several packages have a part of one. */
async function configurationIn(contents: readonly string[]): Promise<readonly Mount[] | undefined> {
  const mounts: Mount[] = [];
  for (const directory of configurationDirectories) {
    const places = await existing(contents, directory);
    const filled = await Promise.all(places.map(async (path) => (await namesIn(path)).length > 0));
    const [source, ...others] = places.filter((_, index) => filled[index]);
    if (others.length > 0) return undefined;
    if (source !== undefined) mounts.push(configurationMount(directory, source));
  }
  return mounts;
}

async function kernelsIn(
  contents: readonly string[],
  configuration: readonly Mount[],
): Promise<readonly KernelModules[]> {
  const places = new Map<string, HostPath[]>();
  for (const modules of await existing(contents, 'usr/lib/modules')) {
    const entries = await readdir(modules, { withFileTypes: true });
    for (const { name } of entries.filter((entry) => entry.isDirectory())) {
      places.set(name, [...(places.get(name) ?? []), modules]);
    }
  }
  return [...places]
    .sort(([left], [right]) => byBytes(left, right))
    .flatMap(([version, [modules, ...others]]) =>
      modules === undefined || others.length > 0 ? [] : [{ version, modules, configuration }],
    );
}

/** A directory in the contents of packages, some of which have it in /lib as before the merger into /usr. */
async function existing(contents: readonly string[], directory: string): Promise<readonly HostPath[]> {
  const names = [directory, directory.replace(/^usr\/lib\//, 'lib/')];
  const paths = contents.flatMap((data) => [...new Set(names)].map((name) => hostPath(join(data, name))));
  const found = await Promise.all(paths.map(exists));
  return paths.filter((_, index) => found[index]);
}
