import { readFile, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { HostPath, Sha256 } from '../base/brand.ts';
import { isObject } from '../base/canonical.ts';
import { isErrno } from '../base/errors.ts';
import { makeDirectory, modifiedAt, namesIn, writeCacheFile } from '../base/files.ts';

/** What is in a directory of the user's: a digest for each path below it. Paths are bytes as Latin-1 text. */
export type InputListing = ReadonlyMap<string, string>;

/** Listings of directories by the directory's digest, so that a later run can name the files that changed. */
export interface InputListings {
  read(digest: string): Promise<InputListing | undefined>;
  /** Keeps a listing; one that is there already counts as used now. */
  keep(digest: Sha256, listing: InputListing): Promise<void>;
}

/** The cost of a larger one is out of proportion to what it tells. */
const mostEntries = 100_000;
/** Enough of a digest to see that it is another one. */
const digestLength = 16;
const day = 24 * 60 * 60 * 1000;
const keepDays = 30;

const compress = promisify(gzip);
const decompress = promisify(gunzip);

/** Listings below `directory`, which is made when it is needed. Those that were not used for 30 days are removed. */
export function inputListings(directory: HostPath): InputListings {
  const file = (digest: string): string => join(directory, `${digest}.json.gz`);
  return {
    read: (digest) => readListing(file(digest)),
    keep: async (digest, listing) => {
      if (listing.size > mostEntries) return;
      const path = file(digest);
      const modified = await modifiedAt(path);
      if (modified === undefined) await writeListing(directory, path, listing);
      else if (Date.now() - modified > day) await utimes(path, new Date(), new Date()).catch(ignoreMissing);
    },
  };
}

async function readListing(path: string): Promise<InputListing | undefined> {
  try {
    const value: unknown = JSON.parse((await decompress(await readFile(path))).toString('utf8'));
    if (!isObject(value)) return undefined;
    return new Map(Object.entries(value).map(([name, digest]) => [name, String(digest)] as const));
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'Z_DATA_ERROR', 'Z_BUF_ERROR') || error instanceof SyntaxError)
      return undefined;
    throw error;
  }
}

async function writeListing(directory: HostPath, path: string, listing: InputListing): Promise<void> {
  await makeDirectory(directory, 0o700);
  const short = [...listing].map(([name, digest]) => [name, digest.slice(0, digestLength)] as const);
  await writeCacheFile(path, await compress(JSON.stringify(Object.fromEntries(short)), { level: 1 }), 0o600);
  await removeOld(directory);
}

async function removeOld(directory: HostPath): Promise<void> {
  for (const name of await namesIn(directory)) {
    const path = join(directory, name);
    const modified = await modifiedAt(path);
    if (modified !== undefined && Date.now() - modified > keepDays * day) await rm(path, { force: true });
  }
}

function ignoreMissing(error: unknown): void {
  if (!isErrno(error, 'ENOENT', 'EROFS')) throw error;
}

/** How the files below a directory differ; paths as people read them, in byte order. */
export interface ListingChanges {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
}

/** Compares two listings, whether their digests were cut or not. */
export function compareListings(before: InputListing, after: InputListing): ListingChanges {
  const same = (left: string, right: string | undefined): boolean =>
    left.slice(0, digestLength) === right?.slice(0, digestLength);
  const names = (listing: InputListing, isWanted: (name: string, digest: string) => boolean): string[] =>
    [...listing].flatMap(([name, digest]) => (isWanted(name, digest) ? [name] : [])).sort();
  const readable = (found: readonly string[]): string[] =>
    found.map((name) => Buffer.from(name, 'latin1').toString('utf8'));
  return {
    added: readable(names(after, (name) => !before.has(name))),
    removed: readable(names(before, (name) => !after.has(name))),
    changed: readable(names(after, (name, digest) => before.has(name) && !same(digest, before.get(name)))),
  };
}
