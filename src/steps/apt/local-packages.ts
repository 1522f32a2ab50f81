import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { HostPath, Sha256 } from '../../base/brand.ts';
import { hostPath, sha256Digest } from '../../base/brand.ts';
import { byBytes } from '../../base/canonical.ts';
import type { Origin } from '../../base/diagnostic.ts';
import { MkimgError } from '../../base/errors.ts';
import { exists } from '../../base/files.ts';
import type { Stanza } from '../../distro/deb822.ts';
import { formatStanzas, parseStanzas } from '../../distro/deb822.ts';
import type { BuildContext } from '../implementation.ts';

/** A package file of the user's. */
export interface LocalPackage {
  readonly path: HostPath;
  readonly control: Stanza;
  readonly size: number;
  readonly sha256: Sha256;
}

/** Packages= of a resolution, with files turned into names. */
export interface LocalRequest {
  /** What to ask apt for. */
  readonly names: readonly string[];
  /** Every local package that apt may choose, from PackageDirectories= and Packages=. */
  readonly packages: readonly LocalPackage[];
}

/** Whether an entry of Packages= is a package file. */
export function isPackageFile(name: string): boolean {
  return name.startsWith('/') || (name.startsWith('./') && name.endsWith('.deb'));
}

/**
 * Reads the package files in `directories` (not below them) and those among `names`. A name beginning with `./` is looked
 * up in the directories.
 * @throws MkimgError `package-file-missing`, `package-file-invalid`
 */
export async function localRequest(
  names: readonly string[],
  directories: readonly HostPath[],
  context: BuildContext,
): Promise<LocalRequest> {
  const scanned = (await Promise.all(directories.map(packageFiles))).flat();
  const files = new Map<string, HostPath>();
  for (const name of names.filter(isPackageFile)) {
    files.set(name, await packageFile(name, directories, context.origin));
  }
  const paths = [...new Set([...scanned, ...files.values()])].sort(byBytes);
  const packages = await readPackages(paths, context);
  return {
    packages,
    names: names.map((name) => {
      const path = files.get(name);
      const found = packages.find((entry) => entry.path === path);
      if (path === undefined || found === undefined) return name;
      return `${found.control.get('package') ?? ''}=${found.control.get('version') ?? ''}`;
    }),
  };
}

async function packageFiles(directory: HostPath): Promise<HostPath[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.deb'));
  return names.map((name) => hostPath(join(directory, name)));
}

async function packageFile(
  name: string,
  directories: readonly HostPath[],
  origin: Origin | undefined,
): Promise<HostPath> {
  const candidates = name.startsWith('/') ? [name] : directories.map((directory) => join(directory, name));
  for (const path of candidates) {
    if (await exists(path)) return hostPath(path);
  }
  throw new MkimgError('package-file-missing', `There is no package file ${name}.`, {
    hint: 'Give an absolute path, or a path relative to one of PackageDirectories=.',
    ...(origin === undefined ? {} : { origin }),
  });
}

async function readPackages(paths: readonly HostPath[], context: BuildContext): Promise<LocalPackage[]> {
  const packages: LocalPackage[] = [];
  for (const path of paths) {
    const target = `/packages/${basename(path)}`;
    const { stdout } = await context.sandbox.run({
      tool: 'dpkg-deb',
      argv: ['--field', target],
      mounts: [{ source: hostPath(dirname(path)), target: '/packages', mode: 'ro' }],
      stdout: 'capture',
      purpose: `reading the package file ${path}`,
    });
    const [control] = parseStanzas(stdout);
    if (control?.get('package') === undefined || control.get('version') === undefined) {
      throw new MkimgError('package-file-invalid', `${path} is not a Debian package.`);
    }
    packages.push({ path, control, size: (await stat(path)).size, sha256: await fileSha256(path) });
  }
  return packages;
}

async function fileSha256(path: HostPath): Promise<Sha256> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return sha256Digest(hash.digest('hex'));
}

/** Index of local packages for apt; the file name of each is its digest. */
export function localIndex(packages: readonly LocalPackage[]): string {
  const own = ['filename', 'size', 'sha256', 'md5sum', 'sha1', 'description'];
  return formatStanzas(
    packages.map((entry) => [
      ...Array.from(entry.control).filter(([name]) => !own.includes(name)),
      ['description', 'local package'],
      ['filename', `./${entry.sha256}.deb`],
      ['size', String(entry.size)],
      ['sha256', entry.sha256],
    ]),
  );
}

/** Preferences that put local packages above everything that repositories have (apt_preferences(5)). */
export function localPreferences(packages: readonly LocalPackage[]): string {
  return formatStanzas(
    packages.map((entry) => [
      ['Package', entry.control.get('package') ?? ''],
      ['Pin', `version ${entry.control.get('version') ?? ''}`],
      ['Pin-Priority', '1100'],
    ]),
  );
}

/** Writes the index below `directory`; undefined when there is nothing to index. */
export async function writeLocalIndex(
  packages: readonly LocalPackage[],
  directory: HostPath,
): Promise<HostPath | undefined> {
  if (packages.length === 0) return undefined;
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'Packages'), localIndex(packages));
  return directory;
}
