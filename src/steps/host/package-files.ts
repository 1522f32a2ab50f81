import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { pathToFileURL } from 'node:url';
import type { HostPath } from '../../base/brand.ts';
import { hostPath, sha256Digest } from '../../base/brand.ts';
import { lstatIfExists } from '../../base/files.ts';
import { isOfFullDisk, MkimgError } from '../../base/errors.ts';
import type { HostPackage } from '../../distro/host-packages.ts';
import type { ResolvedPackage } from '../../distro/resolved.ts';
import type { HostPackages, HostPackageSource } from '../../plan/vocabulary.ts';
import type { PackageFile } from '../apt/fetch.ts';
import { fetchPackages, poolPath } from '../apt/fetch.ts';
import type { BuildContext } from '../implementation.ts';
import type { HostDatabase } from './database.ts';
import type { IndexedFile } from './indexes.ts';
import { FileDigests } from './file-digests.ts';
import { packageKey } from './indexes.ts';
import type { Inventory } from './inventory.ts';
import { takeInventory } from './inventory.ts';
import { installedUrl } from './repack.ts';

export interface Finding {
  readonly host: HostPackages;
  readonly database: HostDatabase;
  /** APT's archives of the system. */
  readonly archives: HostPath;
  /** What the indexes say of the packages; they are read when somebody asks. */
  readonly indexed: () => Promise<ReadonlyMap<string, IndexedFile>>;
  readonly context: BuildContext;
}

/** A package with where its content is. */
type Located = Pick<ResolvedPackage, 'urls' | 'size' | 'sha256' | 'repacked'>;

/**
 * Finds the content of installed packages, each in the first of the sources that has it: what is a package file is in the
 * pool afterwards.
 * @throws MkimgError `package-gone` for what no source has
 */
export async function locatePackages(
  packages: readonly HostPackage[],
  finding: Finding,
): Promise<readonly ResolvedPackage[]> {
  const located = new Map<HostPackage, Located>();
  for (const source of finding.host.sources) {
    const waiting = packages.filter((entry) => !located.has(entry));
    for (const [entry, found] of await locateIn[source](waiting, finding)) located.set(entry, found);
  }
  return packages.map((entry) => {
    const found = located.get(entry);
    if (found === undefined) throw gone(entry, finding);
    const { name, version, architecture, source, multiArch, relations, essential } = entry;
    return {
      ...{ name, version, architecture, source, relations, essential, base: false },
      ...(multiArch === undefined ? {} : { multiArch }),
      ...found,
    };
  });
}

type Locate = (
  packages: readonly HostPackage[],
  finding: Finding,
) => Promise<readonly (readonly [HostPackage, Located])[]>;

const locateIn: Readonly<Record<HostPackageSource, Locate>> = {
  intact: (packages, finding) => fromInstalledFiles(packages, finding, ({ isIntact }) => isIntact),
  cache: fromCache,
  repository: fromRepositories,
  installed: (packages, finding) => fromInstalledFiles(packages, finding, () => true),
};

interface Candidate {
  readonly entry: HostPackage;
  /** With the addresses to try now. */
  readonly file: PackageFile;
  /** All that are known, for who finds the file gone from the pool later. */
  readonly urls: readonly string[];
}

/** mkimg's pool, and APT's archives, whose files have to be what the indexes say where these know them. */
async function fromCache(packages: readonly HostPackage[], finding: Finding): ReturnType<Locate> {
  if (packages.length === 0) return [];
  const indexed = await finding.indexed();
  const candidates = await Promise.all(packages.map((entry) => cached(entry, { finding, indexed })));
  return fetchEach(
    candidates.flatMap((candidate) => candidate ?? []),
    finding.context,
    { mayBeFar: false },
  );
}

async function cached(
  entry: HostPackage,
  { finding, indexed }: { readonly finding: Finding; readonly indexed: ReadonlyMap<string, IndexedFile> },
): Promise<Candidate | undefined> {
  const known = indexed.get(packageKey(entry));
  const path = archivePath(entry, finding.archives);
  const stats = await lstatIfExists(path);
  if (stats?.isFile() === true && (known === undefined || known.size === stats.size)) {
    const file = known ?? { sha256: await fileSha256(path), size: stats.size, urls: [] };
    const urls = [pathToFileURL(path).href];
    return { entry, file: { ...entry, ...file, urls }, urls: [...urls, ...file.urls] };
  }
  if (known === undefined) return undefined;
  const pooled = await lstatIfExists(poolPath(finding.context.packagePool, known));
  // An address that is none makes the fetching of a damaged file of the pool fail.
  return pooled?.size === known.size
    ? { entry, file: { ...entry, ...known, urls: [nowhere] }, urls: known.urls }
    : undefined;
}

/** In place of the addresses of a file that is known by its digest alone. */
const nowhere = 'pool:';

/** As APT names it: the colon of an epoch is escaped. */
function archivePath({ name, version, architecture }: HostPackage, archives: HostPath): HostPath {
  return hostPath(join(archives, `${name}_${version.replaceAll(':', '%3a')}_${architecture}.deb`));
}

async function fileSha256(path: HostPath): Promise<PackageFile['sha256']> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return sha256Digest(hash.digest('hex'));
}

/** Time until the first bytes of a download have to be there, in milliseconds: the files are on the disk as well. */
const patience = 5000;

/** Downloads, as long as the mirror answers at once. */
async function fromRepositories(packages: readonly HostPackage[], finding: Finding): ReturnType<Locate> {
  if (packages.length === 0) return [];
  const indexed = await finding.indexed();
  const candidates = packages.flatMap((entry): Candidate[] => {
    const known = indexed.get(packageKey(entry));
    if (known === undefined || known.urls.length === 0) return [];
    return [{ entry, file: { ...entry, ...known }, urls: known.urls }];
  });
  const isLocal = candidates.every(({ file }) => file.urls.every((url) => url.startsWith('file:')));
  if (candidates.length === 0 || (!isLocal && !hasNetwork())) return [];
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(new Error('the mirror does not answer')), patience);
  const context: BuildContext = {
    ...finding.context,
    signal: AbortSignal.any([finding.context.signal, silence.signal]),
    progress: (done, ...rest) => {
      if (done > 0) clearTimeout(timer);
      finding.context.progress(done, ...rest);
    },
  };
  try {
    return await fetchEach(candidates, context, { mayBeFar: !isLocal });
  } catch (error) {
    finding.context.signal.throwIfAborted();
    if (silence.signal.aborted) return [];
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function hasNetwork(): boolean {
  return Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ internal }) => !internal));
}

/**
 * Brings files into the pool: all at once, and where that fails, one after the other, leaving out what cannot be had. When
 * they may be far, one that cannot be reached says the same of the others.
 */
async function fetchEach(
  candidates: readonly Candidate[],
  context: BuildContext,
  { mayBeFar }: { readonly mayBeFar: boolean },
): ReturnType<Locate> {
  const located = ({ entry, file, urls }: Candidate): readonly [HostPackage, Located] => [
    entry,
    { urls: urls.length > 0 ? urls : [nowhere], size: file.size, sha256: file.sha256 },
  ];
  const together = candidates.length > 1 ? await isFetched(candidates, context) : 'no';
  if (together === 'yes') return candidates.map(located);
  if (together === 'unreachable' && mayBeFar) return [];
  const fetched: Candidate[] = [];
  for (const candidate of candidates) {
    const answer = await isFetched([candidate], context);
    if (answer === 'yes') fetched.push(candidate);
    if (answer === 'unreachable' && mayBeFar) break;
  }
  return fetched.map(located);
}

async function isFetched(
  candidates: readonly Candidate[],
  context: BuildContext,
): Promise<'yes' | 'no' | 'unreachable'> {
  try {
    await fetchPackages(
      candidates.map(({ file }) => file),
      { ...context, attempts: 1 },
    );
    return 'yes';
  } catch (error) {
    if (!(error instanceof MkimgError) || isOfFullDisk(error)) throw error;
    return error.code === 'mirror-unreachable' ? 'unreachable' : 'no';
  }
}

async function fromInstalledFiles(
  packages: readonly HostPackage[],
  { database, context }: Finding,
  accepts: (inventory: Inventory) => boolean,
): ReturnType<Locate> {
  const located: [HostPackage, Located][] = [];
  const digests = await FileDigests.open(context.metadataCache);
  for (const entry of packages) {
    const inventory = await takeInventory(database, entry, digests.read);
    if (!accepts(inventory)) continue;
    const { digest, bytes, modified, missing } = inventory;
    const names = (paths: readonly string[]): string[] =>
      paths.map((path) => Buffer.from(path, 'latin1').toString());
    const repacked = { modified: names(modified), missing: names(missing) };
    located.push([entry, { urls: [installedUrl(database.root)], size: bytes, sha256: digest, repacked }]);
  }
  await digests.save();
  return located;
}

function gone({ name, version }: HostPackage, { host, context: { origin } }: Finding): MkimgError {
  return new MkimgError('package-gone', `The installed version of ${name}, ${version}, cannot be had.`, {
    hint: `It was looked for in: ${host.sources.join(', ')}.`,
    ...(origin === undefined ? {} : { origin }),
  });
}
