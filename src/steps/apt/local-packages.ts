import { createHash, randomBytes } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { copyFile, mkdir, readdir, rename, stat, writeFile } from 'node:fs/promises';
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
import type { ResolvedPackage } from '../../distro/resolved.ts';
import type { Opened } from '../../plan/step.ts';
import type { MadePackages, PackageDirectory } from '../../plan/vocabulary.ts';
import { treeAt } from '../../sandbox/tree.ts';
import type { BuildContext } from '../implementation.ts';
import { poolPath } from './fetch.ts';

/** A package file of the user's, or one that another step made. */
export interface LocalPackage {
  readonly path: HostPath;
  /** What the list of resolved packages says about where it is. */
  readonly url: string;
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

/** A directory with package files. */
export interface LocalDirectory {
  readonly path: HostPath;
  /** By another step: its path means nothing later, and installations find the files by their digests. */
  readonly isMade: boolean;
}

/** Where the package files of a directory of a request stand. */
export async function localDirectory(directory: Opened<PackageDirectory>): Promise<LocalDirectory> {
  if ('path' in directory) return { path: directory.path, isMade: false };
  if ('products' in directory) {
    return { path: hostPath(join(directory.products.directory, 'packages')), isMade: true };
  }
  return { path: await treeAt(directory.tree.root).resolve(directory.inside), isMade: true };
}

/**
 * Brings package files that other steps made into the pool, where installations take them from: those that are wanted.
 */
export async function importMadePackages(
  directories: readonly Opened<MadePackages>[],
  wanted: readonly Pick<ResolvedPackage, 'sha256'>[],
  { packagePool }: Pick<BuildContext, 'packagePool'>,
): Promise<void> {
  const digests = new Set<string>(wanted.map(({ sha256 }) => sha256));
  await mkdir(packagePool, { recursive: true });
  for (const path of (await Promise.all(directories.map(localDirectory))).map(
    (directory) => directory.path,
  )) {
    for (const file of await packageFiles(path)) {
      const sha256 = await fileSha256(file);
      if (!digests.has(sha256)) continue;
      const temporary = join(packagePool, `${sha256}.${randomBytes(6).toString('hex')}.part`);
      await copyFile(file, temporary, constants.COPYFILE_FICLONE);
      await rename(temporary, poolPath(packagePool, { sha256 }));
    }
  }
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
  directories: readonly LocalDirectory[],
  context: BuildContext,
): Promise<LocalRequest> {
  const scanned = (await Promise.all(directories.map(({ path }) => packageFiles(path)))).flat();
  const files = new Map<string, HostPath>();
  for (const name of names.filter(isPackageFile)) {
    const places = directories.map(({ path }) => path);
    files.set(name, await packageFile(name, places, context.origin));
  }
  const paths = [...new Set([...scanned, ...files.values()])].sort(byBytes);
  const made = new Set<string>(directories.filter(({ isMade }) => isMade).map(({ path }) => path));
  const packages = (await readPackages(paths, context)).map((entry) =>
    made.has(dirname(entry.path)) ? { ...entry, url: `made:${basename(entry.path)}` } : entry,
  );
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
    const { size } = await stat(path);
    packages.push({ path, url: `file:${path}`, control, size, sha256: await fileSha256(path) });
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
