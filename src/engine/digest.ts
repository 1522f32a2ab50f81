import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { lstatSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { HostPath, Sha256 } from '../base/brand.ts';
import { hostPath, sha256Digest } from '../base/brand.ts';
import { isErrno, MkimgError } from '../base/errors.ts';
import { readTextIfExists, writeCacheFile } from '../base/files.ts';
import type { HostInput } from '../plan/step.ts';
import type { ReadDigest } from './content.ts';
import { readDigest } from './content.ts';
import type { InputListing, InputListings } from './input-listings.ts';
import { compareListings, inputListings } from './input-listings.ts';
import { displayPath, walkTree } from './walk.ts';

/**
 * Digests of the user's files and directories. Contents, types, permissions, names and link targets count; owners, times
 * and extended attributes do not, because they differ between two checkouts of the same sources: no step may let them
 * reach its output.
 */
export interface HostDigests {
  /** The same all the time until renew(). @throws MkimgError `input-missing`, `input-unreadable`, `input-changed` */
  digest(input: HostInput): Promise<Sha256>;
  /** Forgets what digest() said, for a run that begins anew after it waited. Files are not read again for that. */
  renew(): void;
  /** What became different since digest(), as people read it: a path, or several; undefined when nothing did. */
  changeOf(input: HostInput): Promise<string | undefined>;
  /** What was in a directory when it had this digest; undefined where that is not known any more. */
  listing(digest: string): Promise<InputListing | undefined>;
  /** Writes the cache of file digests back, if anything is new. */
  save(): Promise<void>;
}

/** A file's digest, valid while all the rest is unchanged. */
interface CachedDigest {
  readonly inode: number;
  readonly bytes: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly sha256: Sha256;
  /** Day since the epoch on which it was last of use. */
  readonly day: number;
}

interface DigestCache {
  readonly known: Map<string, CachedDigest>;
  readonly read: DigestReader;
  changed: boolean;
}

/** Reads a file whose digest is not known. */
export type DigestReader = (path: Buffer) => Promise<ReadDigest>;

/** The digest of an input. */
interface InputDigest {
  readonly sha256: Sha256;
  /** Of a directory. */
  readonly listing?: InputListing;
}

// A file written again within the resolution of its time stamp looks unchanged. Such files are digested anew each time,
// until their last change lies safely back (git calls these racily clean entries).
const racyMilliseconds = 2000;
const keepDays = 30;

/** Opens the cache of digests in `cacheFile`; a missing or damaged one is as good as an empty one. */
export async function openHostDigests(
  cacheFile: HostPath,
  read: DigestReader = readDigest,
): Promise<HostDigests> {
  const known = readCache(await readTextIfExists(cacheFile));
  const cache: DigestCache = { known, read, changed: false };
  const listings = inputListings(hostPath(join(cacheFile, '../inputs')));
  const memo = new Map<string, Promise<InputDigest>>();
  const remembered = (input: HostInput): Promise<InputDigest> => {
    const name = JSON.stringify(input);
    const found = memo.get(name) ?? digestInput(input, cache);
    memo.set(name, found);
    return found;
  };
  return {
    digest: async (input) => (await remembered(input)).sha256,
    renew: () => {
      memo.clear();
    },
    changeOf: async (input) => changeBetween(input, await remembered(input), await digestInput(input, cache)),
    listing: (digest) => listings.read(digest),
    save: async () => {
      await keepListings(memo.values(), listings);
      if (!cache.changed) return;
      const oldest = today() - keepDays;
      const kept = [...cache.known].filter(([, { day }]) => day >= oldest);
      await writeCacheFile(cacheFile, JSON.stringify(Object.fromEntries(kept)), 0o600);
      cache.changed = false;
    },
  };
}

async function keepListings(inputs: Iterable<Promise<InputDigest>>, listings: InputListings): Promise<void> {
  for (const settled of await Promise.allSettled(inputs)) {
    if (settled.status === 'rejected' || settled.value.listing === undefined) continue;
    await listings.keep(settled.value.sha256, settled.value.listing);
  }
}

function changeBetween({ $host }: HostInput, before: InputDigest, after: InputDigest): string | undefined {
  if (before.sha256 === after.sha256) return undefined;
  if (before.listing === undefined || after.listing === undefined) return $host;
  const { added, removed, changed } = compareListings(before.listing, after.listing);
  const [first, ...others] = [...changed, ...added, ...removed];
  if (first === undefined) return $host;
  return others.length === 0 ? join($host, first) : `${join($host, first)} (and ${others.length} more)`;
}

function readCache(text: string | undefined): Map<string, CachedDigest> {
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    return new Map(Object.entries(value as Record<string, CachedDigest>));
  } catch (error) {
    if (error instanceof SyntaxError) return new Map();
    throw error;
  }
}

async function digestInput(input: HostInput, cache: DigestCache): Promise<InputDigest> {
  const path = input.$host;
  try {
    // Only here a symbolic link is followed: users put links in place of their directories.
    const stats = statSync(path);
    if (stats.isDirectory()) return await directoryDigest(input, stats, cache);
    const entry = { full: Buffer.from(path), stats, look: statSync };
    return { sha256: await entryDigest(entry, cache) };
  } catch (error) {
    throw inputFault(path, error);
  }
}

function inputFault(path: HostPath, error: unknown): unknown {
  if (isErrno(error, 'ENOENT', 'ENOTDIR')) {
    return new MkimgError('input-missing', `${error.path ?? path} does not exist`, {
      hint: 'It was named by the configuration, or it went away while it was read.',
      class: 'usage',
      cause: error,
    });
  }
  if (!isErrno(error, 'EACCES', 'EPERM')) return error;
  return new MkimgError('input-unreadable', `No permission to read ${error.path ?? path}`, {
    class: 'usage',
    cause: error,
  });
}

async function directoryDigest(input: HostInput, stats: Stats, cache: DigestCache): Promise<InputDigest> {
  const hash = createHash('sha256').update(`tree ${permissions(stats)}\0`);
  const listing = new Map<string, string>();
  for await (const { path, full, stats: found } of walkTree(input.$host, input.exclude)) {
    const digest = await entryDigest({ full, stats: found, look: lstatSync }, cache);
    hash.update(`${digest} `).update(path, 'latin1').update('\0');
    listing.set(path, digest);
  }
  return { sha256: sha256Digest(hash.digest('hex')), listing };
}

interface DigestedEntry {
  readonly full: Buffer;
  readonly stats: Stats;
  readonly look: (path: Buffer) => Stats;
}

/** A file that is being written settles within a few tries, or it is no input that a build could rely on. */
const tries = 3;

async function entryDigest({ full, stats: first, look }: DigestedEntry, cache: DigestCache): Promise<Sha256> {
  for (let attempt = 1, stats = first; attempt <= tries; attempt += 1, stats = look(full)) {
    if (!stats.isFile()) return specialDigest(full, stats);
    const content = await contentDigest(full, stats, cache);
    if (content === undefined) continue;
    return digestOf(`file ${permissions(stats)} ${content}`);
  }
  throw new MkimgError('input-changed', `${readable(full)} changes while it is read`, {
    hint: 'Build again when nothing writes to it any more.',
  });
}

function specialDigest(full: Buffer, stats: Stats): Sha256 {
  if (stats.isDirectory()) return digestOf(`directory ${permissions(stats)}`);
  if (!stats.isSymbolicLink()) return digestOf(`other ${stats.mode.toString(8)} ${stats.rdev}`);
  return digestOf('link ', readlinkSync(full, { encoding: 'buffer' }));
}

function digestOf(...parts: readonly (string | Buffer)[]): Sha256 {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return sha256Digest(hash.digest('hex'));
}

function permissions(stats: Stats): string {
  return (stats.mode & 0o7777).toString(8);
}

/** undefined when the file changed while it was read. */
async function contentDigest(path: Buffer, stats: Stats, cache: DigestCache): Promise<Sha256 | undefined> {
  const name = readable(path);
  const found = cache.known.get(name);
  if (found !== undefined && isSame(stats, found)) {
    if (found.day !== today()) remember(cache, name, { ...found, day: today() });
    return found.sha256;
  }
  const readAt = Date.now();
  const { sha256, stats: after } = await cache.read(path);
  const { ino: inode, size: bytes, mtimeMs, ctimeMs } = stats;
  const digest = { inode, bytes, mtimeMs, ctimeMs, sha256, day: today() };
  if (!isSame(after, digest)) return undefined;
  if (Math.max(mtimeMs, ctimeMs) < readAt - racyMilliseconds) remember(cache, name, digest);
  return sha256;
}

function isSame(stats: Stats, digest: CachedDigest): boolean {
  return (
    stats.ino === digest.inode &&
    stats.size === digest.bytes &&
    stats.mtimeMs === digest.mtimeMs &&
    stats.ctimeMs === digest.ctimeMs
  );
}

function readable(path: Buffer): string {
  return displayPath(path.toString('latin1'));
}

function remember(cache: DigestCache, name: string, value: CachedDigest): void {
  cache.known.set(name, value);
  cache.changed = true;
}

function today(): number {
  return Math.floor(Date.now() / (24 * 60 * 60 * 1000));
}
