import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { exists } from '../../base/files.ts';
import { formatAptSources, userSourcesFiles } from '../../distro/apt-sources.ts';
import type { Mount, RunRequest } from '../../sandbox/types.ts';
import type { AptSources } from './repository-set.ts';

/** Where apt finds its files inside the sandbox. */
const inside = {
  etc: '/etc/apt',
  configuration: '/apt/apt.conf',
  status: '/apt/status',
  lists: '/apt/lists',
  cache: '/apt/cache',
  work: '/apt/work',
  keyrings: '/apt/keyrings',
  local: '/apt/local',
} as const;

/** Directories on the host that one run of apt works with. */
export interface AptDirectories {
  /** Made by {@link prepareAptConfiguration}. */
  readonly configuration: HostPath;
  /** Package indexes. */
  readonly lists: HostPath;
  /** They are another's: nothing is written to them. */
  readonly readOnlyLists?: boolean;
  /** apt's parsed form of the indexes, kept with them. */
  readonly cache: HostPath;
  /** Holds `Packages`, an index of local package files; absent when there are none. */
  readonly local?: HostPath;
}

/**
 * The whole configuration of apt. The host's is never read: APT_CONFIG comes before everything else, and Dir::Etc is a
 * directory of ours.
 */
export function aptConfigurationText(architectureNames: readonly string[]): string {
  const settings: readonly (readonly [string, string])[] = [
    ['Dir::Etc', inside.etc],
    ['Dir::State', inside.work],
    ['Dir::State::status', inside.status],
    ['Dir::State::lists', inside.lists],
    ['Dir::Cache', inside.work],
    ['Dir::Cache::srcpkgcache', `${inside.cache}/srcpkgcache.bin`],
    ['Dir::Cache::pkgcache', `${inside.work}/pkgcache.bin`],
    ['Dir::Log', inside.work],
    ['APT::Architecture', architectureNames[0] ?? ''],
    // Otherwise apt counts itself among the essential packages of every image.
    ['pkgCacheGen::ForceEssential', ','],
    ['APT::Sandbox::User', 'root'],
    ['APT::Update::Error-Mode', 'any'],
    ['Debug::NoLocking', 'true'],
    ['Acquire::Languages', 'none'],
    ['Acquire::IndexTargets::deb::Translations::DefaultEnabled', 'false'],
    ['Acquire::IndexTargets::deb::DEP-11::DefaultEnabled', 'false'],
    ['Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled', 'false'],
    ['Acquire::PDiffs', 'false'],
    ['Acquire::GzipIndexes', 'false'],
    ['Acquire::Retries', '2'],
    ['Acquire::http::Timeout', '30'],
    ['Acquire::https::Timeout', '30'],
    // Looked at in metadata.ts, which can name the file and the date.
    ['Acquire::Check-Valid-Until', 'false'],
    ['Acquire::ForceHash', 'SHA256'],
  ];
  const lines = settings.map(([name, value]) => `${name} "${value}";\n`);
  return [
    ...lines,
    `APT::Architectures { ${architectureNames.map((name) => `"${name}"; `).join('')}};\n`,
  ].join('');
}

/** apt warns about those that are missing. */
const etcDirectories = ['apt.conf.d', 'auth.conf.d', 'preferences.d', 'sources.list.d', 'trusted.gpg.d'];

/**
 * Writes what apt reads of etc/apt and apt.conf below `directory`: the generated sources unless the user gives their own
 * `mkimg.sources` or `mkosi.sources`, and the etc/apt of the sandbox trees.
 */
export async function prepareAptConfiguration(sources: AptSources, directory: HostPath): Promise<void> {
  const etc = join(directory, 'etc');
  await mkdir(join(directory, 'work'), { recursive: true });
  for (const name of etcDirectories) await mkdir(join(etc, name), { recursive: true });
  for (const tree of sources.set.sandboxTrees) {
    const given = join(tree.path, 'etc/apt');
    if (await exists(given)) await cp(given, etc, { recursive: true, verbatimSymlinks: true });
  }
  const given = await Promise.all(userSourcesFiles.map((name) => exists(join(etc, 'sources.list.d', name))));
  if (!given.includes(true)) {
    await writeFile(join(etc, 'sources.list.d/mkimg.sources'), generatedSources(sources));
  }
  await writeFile(join(directory, 'apt.conf'), aptConfigurationText(sources.architectures));
  await writeFile(join(directory, 'status'), '');
}

/**
 * The repositories as apt reads them in the sandbox, where keyrings stand under names of their own. For `file:` apt would
 * only make links into the repository, which may change or go away; with `copy:` it keeps indexes of its own.
 */
export function generatedSources({ set, architectures }: AptSources): string {
  return formatAptSources(
    set.repositories.map(({ signedBy, ...repository }, index) => ({
      ...repository,
      uris: repository.uris.map((uri) => uri.replace(/^file:/, 'copy:')),
      architecture: architectures.join(' '),
      ...(signedBy === undefined ? {} : { signedBy: keyringPath(index, signedBy.path) }),
      ...(set.checkSignatures ? {} : { trusted: true }),
    })),
  );
}

/** apt tells binary keyrings from armoured ones by the name. */
function keyringPath(index: number, path: string): string {
  return `${inside.keyrings}/${index}.${path.endsWith('.asc') ? 'asc' : 'gpg'}`;
}

/** What every run of apt has in common; the caller adds program, arguments and purpose. */
export function aptRun(sources: AptSources, directories: AptDirectories): Pick<RunRequest, 'mounts' | 'env'> {
  const { configuration, lists, readOnlyLists = false, cache, local } = directories;
  const own = (name: string): HostPath => hostPath(join(configuration, name));
  const mounts: Mount[] = [
    { source: own('etc'), target: inside.etc, mode: 'ro' },
    { source: own('apt.conf'), target: inside.configuration, mode: 'ro' },
    { source: own('status'), target: inside.status, mode: 'ro' },
    { source: own('work'), target: inside.work, mode: 'rw' },
    { source: lists, target: inside.lists, mode: readOnlyLists ? 'ro' : 'rw' },
    { source: cache, target: inside.cache, mode: 'rw' },
    ...sources.set.repositories.flatMap(({ signedBy }, index): Mount[] =>
      signedBy === undefined
        ? []
        : [{ source: signedBy.path, target: keyringPath(index, signedBy.path), mode: 'ro' }],
    ),
    ...localMirrors(sources),
    ...(local === undefined ? [] : [{ source: local, target: inside.local, mode: 'ro' } as const]),
  ];
  return { mounts, env: { APT_CONFIG: inside.configuration, DEBIAN_FRONTEND: 'noninteractive' } };
}

/** Repositories on this machine's disk have to be visible at the path that their URI names. */
function localMirrors({ set }: AptSources): Mount[] {
  const uris = set.repositories.flatMap((repository) => repository.uris);
  const paths = uris.flatMap((uri) => /^(?:file|copy):(?:\/\/)?(\/.*)$/.exec(uri)?.[1] ?? []);
  return [...new Set(paths)].map((path) => ({ source: hostPath(path), target: path, mode: 'ro' }));
}

/** The index of local package files, for each command that reads indexes. */
function localArgv(directories: AptDirectories): string[] {
  return directories.local === undefined ? [] : ['--with-source', `${inside.local}/Packages`];
}

/** `apt-get update`. */
export function aptUpdateArgv(): string[] {
  return ['-qq', 'update'];
}

export interface InstallQuestion {
  readonly names: readonly string[];
  /** Without what they depend on. */
  readonly alone?: boolean;
  readonly recommends: boolean;
}

/** `apt-get install`, answered with one line for each package file: URI, name, size and digest. */
export function aptInstallArgv(directories: AptDirectories, question: InstallQuestion): string[] {
  return [
    ...['-qq', '--print-uris', '--no-remove'],
    ...['-o', `APT::Install-Recommends=${question.recommends}`],
    ...localArgv(directories),
    ...['install', '--', ...question.names],
  ];
}

/** What `apt-get install` would take of the named packages alone, in the same form. */
export function aptDownloadArgv(directories: AptDirectories, names: readonly string[]): string[] {
  return ['-qq', '--print-uris', ...localArgv(directories), 'download', '--', ...names];
}

/** The same question, answered with apt's explanation of why it has no solution. */
export function aptExplainArgv(directories: AptDirectories, question: InstallQuestion): string[] {
  return [
    ...['-q', '--simulate', '--no-remove'],
    ...['-o', `APT::Install-Recommends=${question.recommends}`],
    ...localArgv(directories),
    ...['install', '--', ...question.names],
  ];
}

/** `apt-cache show` for exact versions, `NAME=VERSION` each. */
export function aptShowArgv(directories: AptDirectories, versions: readonly string[]): string[] {
  return ['--no-all-versions', ...localArgv(directories), 'show', '--', ...versions];
}

/** Every name that has a package. */
export function aptNamesArgv(directories: AptDirectories): string[] {
  return [...localArgv(directories), 'pkgnames'];
}

/** Proxy variables of the environment, in both spellings, for programs that use the network. */
export function proxyEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const names = ['http_proxy', 'https_proxy', 'ftp_proxy', 'all_proxy', 'no_proxy'];
  const proxies: Record<string, string> = {};
  for (const name of names.flatMap((name) => [name, name.toUpperCase()])) {
    const value = environment[name];
    if (value !== undefined && value !== '') proxies[name] = value;
  }
  return proxies;
}
