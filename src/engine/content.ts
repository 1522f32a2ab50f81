import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Sha256 } from '../base/brand.ts';
import { sha256Digest } from '../base/brand.ts';
import type { WalkEntry } from './walk.ts';
import { walkTree } from './walk.ts';

const chunkBytes = 1 << 20;

/** SHA-256 of a file's content. */
export async function fileDigest(path: string | Buffer): Promise<Sha256> {
  return (await readDigest(path)).sha256;
}

/** A file's digest, and what fstat(2) said after its last byte was read. */
export interface ReadDigest {
  readonly sha256: Sha256;
  readonly stats: Stats;
}

/** Reads a file to its end, whatever became of its name meanwhile. */
export async function readDigest(path: string | Buffer): Promise<ReadDigest> {
  const hash = createHash('sha256');
  // O_NONBLOCK: a FIFO that took the file's place would wait for a writer.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const buffer = Buffer.allocUnsafe(chunkBytes);
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, chunkBytes, null);
      if (bytesRead === 0) break;
      hash.update(buffer.subarray(0, bytesRead));
    }
    return { sha256: sha256Digest(hash.digest('hex')), stats: await handle.stat() };
  } finally {
    await handle.close();
  }
}

const sampleCount = 64;
const sampleBytes = 1 << 16;

/**
 * SHA-256 over the size and 64 blocks of 64 KiB, spread evenly from the first to the last byte. Finds what befalls large
 * files in practice (cut off, zeroed by a crash, written to), for a few milliseconds whatever the size.
 */
export async function sampleDigest(path: string, size: number): Promise<Sha256> {
  const hash = createHash('sha256').update(`${size}\n`);
  const handle = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(sampleBytes);
    const span = Math.max(0, size - sampleBytes);
    for (let index = 0; index < sampleCount; index += 1) {
      const position = Math.floor((span * index) / (sampleCount - 1));
      const { bytesRead } = await handle.read(buffer, 0, sampleBytes, position);
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
  return sha256Digest(hash.digest('hex'));
}

/** What a tree's listing says about it. */
export interface Listing {
  readonly digest: Sha256;
  readonly entries: number;
  /** Sum of the sizes of regular files. */
  readonly bytes: number;
}

/**
 * Digest of a tree's names, types, modes, sizes and modification times: what lstat(2) gives without opening a file. Owners
 * are left out, because they look different from inside and outside of a user namespace.
 */
export async function listTree(
  root: string,
  visit: (entry: WalkEntry) => void = () => undefined,
): Promise<Listing> {
  const hash = createHash('sha256');
  let entries = 0;
  let bytes = 0;
  for await (const entry of walkTree(root)) {
    const { path, stats } = entry;
    visit(entry);
    entries += 1;
    if (stats.isFile()) bytes += stats.size;
    hash.update(listingLine(path, stats), 'latin1');
  }
  return { digest: sha256Digest(hash.digest('hex')), entries, bytes };
}

function listingLine(path: string, stats: Stats): string {
  // A directory's size is its file system's business and changes when it is copied.
  const size = stats.isDirectory() ? 0 : stats.size;
  return `${stats.mode.toString(8)} ${size} ${stats.mtimeMs} ${stats.rdev} ${path}\0`;
}
