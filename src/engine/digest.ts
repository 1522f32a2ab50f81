import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { readlinkSync, statSync } from 'node:fs';
import type { HostPath, Sha256 } from '../base/brand.ts';
import { sha256Digest } from '../base/brand.ts';
import { isErrno, MkimgError } from '../base/errors.ts';
import { readTextIfExists, writeCacheFile } from '../base/files.ts';
import type { HostInput } from '../plan/step.ts';
import { fileDigest } from './content.ts';
import { displayPath, walkTree } from './walk.ts';

/**
 * Digests of the user's files and directories. Contents, types, permissions, names and link targets count; owners and
 * times do not, because they differ between two checkouts of the same sources.
 */
export interface HostDigests {
  /** @throws MkimgError `input-missing` or `input-unreadable` */
  digest(input: HostInput): Promise<Sha256>;
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
  changed: boolean;
}

// A file written again within the resolution of its time stamp looks unchanged. Such files are digested anew each time,
// until their last change lies safely back (git calls these racily clean entries).
const racyMilliseconds = 2000;
const keepDays = 30;

/** Opens the cache of digests in `cacheFile`; a missing or damaged one is as good as an empty one. */
export async function openHostDigests(cacheFile: HostPath): Promise<HostDigests> {
  const cache: DigestCache = { known: readCache(await readTextIfExists(cacheFile)), changed: false };
  const memo = new Map<string, Promise<Sha256>>();
  return {
    digest: (input) => {
      const name = JSON.stringify(input);
      const found = memo.get(name) ?? digestInput(input, cache);
      memo.set(name, found);
      return found;
    },
    save: async () => {
      if (!cache.changed) return;
      const oldest = today() - keepDays;
      const kept = [...cache.known].filter(([, { day }]) => day >= oldest);
      await writeCacheFile(cacheFile, JSON.stringify(Object.fromEntries(kept)), 0o600);
      cache.changed = false;
    },
  };
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

async function digestInput(input: HostInput, cache: DigestCache): Promise<Sha256> {
  const path = input.$host;
  try {
    // Only here a symbolic link is followed: users put links in place of their directories.
    const stats = statSync(path);
    if (!stats.isDirectory()) return await entryDigest({ path: '', full: Buffer.from(path), stats }, cache);
    return await directoryDigest(input, stats, cache);
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

async function directoryDigest(input: HostInput, stats: Stats, cache: DigestCache): Promise<Sha256> {
  const hash = createHash('sha256').update(`tree ${permissions(stats)}\0`);
  for await (const entry of walkTree(input.$host, input.exclude)) {
    hash
      .update(`${await entryDigest(entry, cache)} `)
      .update(entry.path, 'latin1')
      .update('\0');
  }
  return sha256Digest(hash.digest('hex'));
}

interface DigestedEntry {
  readonly path: string;
  readonly full: Buffer;
  readonly stats: Stats;
}

async function entryDigest({ full, stats }: DigestedEntry, cache: DigestCache): Promise<Sha256> {
  const hash = createHash('sha256');
  if (stats.isFile()) hash.update(`file ${permissions(stats)} ${await cachedDigest(full, stats, cache)}`);
  else if (stats.isDirectory()) hash.update(`directory ${permissions(stats)}`);
  else if (stats.isSymbolicLink()) hash.update('link ').update(readlinkSync(full, { encoding: 'buffer' }));
  else hash.update(`other ${stats.mode.toString(8)} ${stats.rdev}`);
  return sha256Digest(hash.digest('hex'));
}

function permissions(stats: Stats): string {
  return (stats.mode & 0o7777).toString(8);
}

async function cachedDigest(path: Buffer, stats: Stats, cache: DigestCache): Promise<Sha256> {
  const { ino, size, mtimeMs, ctimeMs } = stats;
  const name = displayPath(path.toString('latin1'));
  const found = cache.known.get(name);
  if (
    found?.inode === ino &&
    found.bytes === size &&
    found.mtimeMs === mtimeMs &&
    found.ctimeMs === ctimeMs
  ) {
    if (found.day !== today()) remember(cache, name, { ...found, day: today() });
    return found.sha256;
  }
  const readAt = Date.now();
  const sha256 = await fileDigest(path);
  if (Math.max(mtimeMs, ctimeMs) < readAt - racyMilliseconds) {
    remember(cache, name, { inode: ino, bytes: size, mtimeMs, ctimeMs, sha256, day: today() });
  }
  return sha256;
}

function remember(cache: DigestCache, name: string, value: CachedDigest): void {
  cache.known.set(name, value);
  cache.changed = true;
}

function today(): number {
  return Math.floor(Date.now() / (24 * 60 * 60 * 1000));
}
