import { lstat, mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { hostPath } from '../base/brand.ts';
import { MkimgError } from '../base/errors.ts';
import { parseResolvedPackages } from '../distro/resolved.ts';
import { fetchPackages } from './apt/fetch.ts';
import type { BuildContext, FileStep } from './implementation.ts';

/** Takes files out of packages, which are neither installed nor run. Links are left out. */
export const extractFiles: FileStep<'extract-files'> = {
  output: 'files',
  version: 1,
  contentKeyed: true,
  tools: [
    { tool: 'dpkg-deb', minimum: '1.21', reason: 'extracting packages' },
    { tool: 'tar', minimum: '1.27', reason: 'extracting packages' },
    { tool: 'sh', reason: 'extracting packages' },
  ],
  // Which versions unpack a package changes nothing of what is in it.
  keyTools: () => [],

  async run({ resolved, patterns }, target, context) {
    const { packages } = parseResolvedPackages(await readFile(resolved.path, 'utf8'));
    await fetchPackages(packages, context);
    const place = hostPath(join(context.work, 'files'));
    await mkdir(place);
    for (const { sha256 } of packages) {
      await context.sandbox.run({
        tool: 'sh',
        argv: ['-c', extractScript, 'sh', `/packages/${sha256}.deb`, ...patterns.map((path) => `./${path}`)],
        mounts: [
          { source: context.packagePool, target: '/packages', mode: 'ro' },
          { source: place, target: '/files', mode: 'rw' },
        ],
        purpose: 'extracting files of packages',
      });
    }
    await mkdir(target);
    const names = await collect(place, target);
    if (names.length === 0)
      throw nothingFound(
        packages.map(({ name }) => name),
        patterns,
        context,
      );
    return { names };
  },
};

/** tar fails where a pattern matches nothing, which is for the caller to judge. Exit code 2 stands for worse, too. */
const extractScript = `package="$1"
shift
dpkg-deb --fsys-tarfile "$package" >/tmp/package.tar
tar --list --file=/tmp/package.tar --wildcards "$@" >/dev/null 2>&1 || exit 0
exec tar --extract --file=/tmp/package.tar --directory=/files --no-same-owner --wildcards "$@"`;

/** Moves all files below a directory into another one. */
async function collect(place: string, target: string): Promise<string[]> {
  const names: string[] = [];
  for (const path of await readdir(place, { recursive: true })) {
    if (!(await lstat(join(place, path))).isFile()) continue;
    await rename(join(place, path), join(target, basename(path)));
    names.push(basename(path));
  }
  return names.sort();
}

function nothingFound(
  packages: readonly string[],
  patterns: readonly string[],
  { origin }: BuildContext,
): MkimgError {
  return new MkimgError(
    'package-lacks-files',
    `None of the packages ${packages.join(', ')} has a file ${patterns.join(' or ')}.`,
    {
      hint: 'Another release of the distribution may have it elsewhere.',
      ...(origin === undefined ? {} : { origin }),
    },
  );
}
