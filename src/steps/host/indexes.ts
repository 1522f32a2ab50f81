import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { HostPath, Sha256 } from '../../base/brand.ts';
import { sha256Digest } from '../../base/brand.ts';
import { byBytes } from '../../base/canonical.ts';
import type { Stanza } from '../../distro/deb822.ts';
import { parseStanzas } from '../../distro/deb822.ts';
import type { AptRepository } from '../../distro/repositories.ts';
import type { ResolvedPackage } from '../../distro/resolved.ts';
import { namesOf } from './database.ts';

/** What a package index says of a package file. */
export interface IndexedFile {
  readonly sha256: Sha256;
  readonly size: number;
  /** Empty where no repository of the image has the index. */
  readonly urls: readonly string[];
}

/** Name of one exact package among others. */
export function packageKey(entry: Pick<ResolvedPackage, 'name' | 'version' | 'architecture'>): string {
  return `${entry.name}_${entry.version}_${entry.architecture}`;
}

/**
 * Looks packages up in APT's lists, which APT has verified: those that are wanted, by packageKey(). What is not listed any
 * more, because the repository has gone on, is not among the result.
 */
export async function indexedFiles(
  lists: HostPath,
  wanted: readonly Pick<ResolvedPackage, 'name' | 'version' | 'architecture'>[],
  repositories: readonly Pick<AptRepository, 'uris' | 'suites'>[],
): Promise<ReadonlyMap<string, IndexedFile>> {
  const keys = new Set(wanted.map(packageKey));
  const names = new Set(wanted.map(({ name }) => name));
  const found = new Map<string, IndexedFile>();
  const indexes = namesOf(lists).filter((name) => /_Packages(\.gz)?$/.test(name));
  for (const index of indexes.sort(byBytes)) {
    const bases = baseUris(index, repositories);
    for (const stanza of stanzasOf(await readIndex(join(lists, index)), names).flatMap(parseStanzas)) {
      const [key, file] = indexedFile(stanza, bases);
      // One that can be downloaded is worth more.
      const isBetter = (found.get(key)?.urls.length ?? 0) === 0;
      if (file !== undefined && keys.has(key) && isBetter) found.set(key, file);
    }
  }
  return found;
}

function indexedFile(stanza: Stanza, bases: readonly string[]): readonly [string, IndexedFile | undefined] {
  const field = (name: string): string => stanza.get(name) ?? '';
  const entry = { name: field('package'), version: field('version'), architecture: field('architecture') };
  const digest = field('sha256');
  const path = field('filename').replace(/^\.\//, '');
  const size = Number(field('size'));
  if (!/^[0-9a-f]{64}$/.test(digest) || !Number.isSafeInteger(size)) return [packageKey(entry), undefined];
  return [
    packageKey(entry),
    { urls: bases.map((base) => `${base}/${path}`), sha256: sha256Digest(digest), size },
  ];
}

async function readIndex(path: string): Promise<Buffer> {
  const content = await readFile(path);
  return path.endsWith('.gz') ? gunzipSync(content) : content;
}

/** The stanzas of some packages. An index has tens of thousands, which begin with the name: only it is looked at. */
export function stanzasOf(index: Buffer, names: ReadonlySet<string>): string[] {
  const start = 'Package: ';
  const stanzas: string[] = [];
  for (let at = 0; at < index.length;) {
    const next = index.indexOf('\n\n', at);
    const end = next < 0 ? index.length : next;
    const line = index.indexOf('\n', at);
    const name = index.toString('latin1', at + start.length, line < 0 ? end : line);
    if (names.has(name)) stanzas.push(index.toString('utf8', at, end));
    at = end + 2;
  }
  return stanzas;
}

/** The addresses that the file names of an index are relative to, by the name that APT gives its copy of the index. */
export function baseUris(
  index: string,
  repositories: readonly Pick<AptRepository, 'uris' | 'suites'>[],
): string[] {
  return repositories.flatMap(({ uris, suites }) =>
    uris
      .map((uri) => uri.replace(/\/+$/, ''))
      .filter((uri) =>
        suites.some((suite) => {
          const directory = suite.endsWith('/') ? suite.replace(/^\.?\//, '') : `dists/${suite}/`;
          return index.startsWith(listName(`${uri}/${directory}`));
        }),
      ),
  );
}

/** How APT calls the copy of a file: the address without scheme and user, `/` as `_` (URItoFileName of apt-pkg). */
export function listName(uri: string): string {
  const plain = uri.replace(/^[a-z0-9+.-]+:(?:\/\/)?/, '').replace(/^[^/@]*@/, '');
  return plain
    .replace(/[\\|{}[\]<>"^~_=!@#$%&*]/g, (character) => `%${character.charCodeAt(0).toString(16)}`)
    .replaceAll('/', '_');
}
