import { lstatSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { HostPath, Sha256 } from '../../base/brand.ts';
import type { Json } from '../../base/canonical.ts';
import { byBytes, digestJson, isObject, sha256 } from '../../base/canonical.ts';
import { isErrno } from '../../base/errors.ts';
import { readTextIfExists, writeCacheFile } from '../../base/files.ts';
import type { PackageRequest, StepInputs } from '../../plan/vocabulary.ts';
import { resolveInTree } from '../../sandbox/resolve.ts';
import { namesOf, statusTexts, textOf } from './database.ts';
import { conffilePaths } from './inventory.ts';
import type { HostResolution } from './resolve.ts';

/*
 * METADATA/host-DIGEST.json says for one resolution on a running system what else than dpkg's database decided about it, so
 * that the next build can tell by a few calls whether the answer still holds.
 */

interface Watched {
  /** Configuration files of packages that are made of installed files: absolute paths on this machine. */
  readonly files: readonly string[];
  /** Whether something came from the repositories, or was looked for there in vain. */
  readonly lists: boolean;
}

interface Question extends Pick<StepInputs['resolve-packages'], 'architecture' | 'host'> {
  readonly request: Pick<PackageRequest, 'names' | 'recommends'>;
}

/** Where the record of a resolution stands. */
export function recordPath(inputs: Question, metadataCache: HostPath): string {
  const { request, architecture, host } = inputs;
  const question = { names: request.names, recommends: request.recommends, architecture, host } as Json;
  return join(metadataCache, `host-${digestJson(question)}.json`);
}

/** The state of a system as far as it decides about a resolution; undefined when that is not known yet. */
export async function hostState(root: HostPath, record: string): Promise<Sha256 | undefined> {
  const watched = parseWatched(await readTextIfExists(record));
  if (watched === undefined) return undefined;
  const { path: directory } = await resolveInTree(root, 'var/lib/dpkg', 'follow');
  const { path: lists } = await resolveInTree(root, 'var/lib/apt/lists', 'follow');
  const releases = namesOf(lists).filter((name) => /_(?:In)?Release$/.test(name));
  return digestJson({
    database: [
      ...statusTexts(directory),
      textOf(join(directory, 'diversions')),
      textOf(join(directory, 'statoverride')),
    ].map(sha256),
    files: watched.files.map(signature),
    lists: watched.lists ? releases.sort(byBytes).map((name) => [name, signature(join(lists, name))]) : null,
  });
}

/** Notes what a resolution depended on. */
export async function recordHostState(record: string, resolution: HostResolution): Promise<void> {
  const { packages, added, leftOut, database } = resolution;
  const repacked = new Set(packages.filter((entry) => entry.repacked !== undefined).map(({ name }) => name));
  const files = await conffilePaths(
    database,
    database.packages.filter(({ name }) => repacked.has(name)),
  );
  const lists = added.length + leftOut.length > 0 || packages.some(({ unmet }) => unmet !== undefined);
  await mkdir(dirname(record), { recursive: true });
  await writeCacheFile(record, JSON.stringify({ files, lists } satisfies Watched));
}

function parseWatched(text: string | undefined): Watched | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (!isObject(value) || !Array.isArray(value['files'])) return undefined;
    return { files: value['files'].map(String), lists: value['lists'] === true };
  } catch {
    // Damaged, by whatever cause: the system is looked at anew.
    return undefined;
  }
}

function signature(path: string): Json {
  try {
    const { size, mtimeMs, ctimeMs, ino } = lstatSync(path);
    return [size, mtimeMs, ctimeMs, ino];
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return null;
    throw error;
  }
}
