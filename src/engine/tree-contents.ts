import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Sha256 } from '../base/brand.ts';
import { sha256Digest } from '../base/brand.ts';
import { isErrno } from '../base/errors.ts';
import { fileDigest } from './content.ts';
import type { RecordedTree } from './record.ts';
import type { WalkEntry } from './walk.ts';
import { displayPath, walkTree } from './walk.ts';

/*
 * Reading all that was just written would make builds slower, so a tree's record has digests of what nothing else vouches
 * for: not of files that are links to an unpacked package, and not of those that came with a list of digests, as the files
 * of packages do.
 */

/** A list of digests, as md5sum(1) writes it, that came with the content of a tree. Paths are relative to the tree. */
export interface ChecksumList {
  readonly list: string;
  /** The directory that the names in the list are relative to. */
  readonly below: string;
}

/** Bytes of a tree that are read after it was made, at most. */
const readLimit = 64 << 20;

/** Takes note, on a walk over a tree, of the files that need digests. */
export interface ContentsWriter {
  readonly visit: (entry: WalkEntry) => void;
  /** Writes the digests beside the tree; undefined when there are none. */
  write(): Promise<Sha256 | undefined>;
}

/** The digests of a tree that is being put into the store. */
export function contentsWriter(tree: string, checksums: ChecksumList | undefined): ContentsWriter {
  const known = checksums === undefined ? new Map<string, string>() : readChecksums(tree, checksums);
  const lines: string[] = [];
  let remaining = readLimit;
  return {
    visit: ({ path, full, stats }) => {
      if (!stats.isFile() || stats.nlink > 1 || stats.size > remaining || known.has(path)) return;
      remaining -= stats.size;
      lines.push(`${digestOf(full, 'sha256')} ${path}\0`);
    },
    write: async () => {
      if (lines.length === 0) return undefined;
      const data = Buffer.from(lines.join(''), 'latin1');
      await writeFile(contentsPath(tree), data, { flag: 'wx', mode: 0o600 });
      return sha256Digest(createHash('sha256').update(data).digest('hex'));
    },
  };
}

function contentsPath(tree: string): string {
  return join(dirname(tree), 'contents');
}

/** A file whose content is not what it was. */
export interface DamagedFile {
  /** As people read it. */
  readonly path: string;
  /** Other names of the file have the same. */
  readonly inode: number;
}

/** Reads all files of a tree for which there are digests. */
export async function damagedFiles(
  tree: string,
  { contents, checksums }: Pick<RecordedTree, 'contents' | 'checksums'>,
): Promise<readonly DamagedFile[]> {
  const sha256 = contents === undefined ? new Map<string, string>() : await readContents(tree, contents);
  const md5 = checksums === undefined ? new Map<string, string>() : readChecksums(tree, checksums);
  const damaged: DamagedFile[] = [];
  // Only what is found on the way counts: a list could name anything.
  for await (const { path, full, stats } of walkTree(tree)) {
    if (!stats.isFile()) continue;
    if (isAs(full, 'sha256', sha256.get(path)) && isAs(full, 'md5', md5.get(path))) continue;
    damaged.push({ path: displayPath(path), inode: stats.ino });
  }
  return damaged;
}

/** The files of a tree that are among these. */
export async function filesAmong(tree: string, inodes: ReadonlySet<number>): Promise<readonly string[]> {
  const found: string[] = [];
  const isAmong = (stats: Stats): boolean => stats.isFile() && inodes.has(stats.ino);
  for await (const { path, stats } of walkTree(tree)) if (isAmong(stats)) found.push(displayPath(path));
  return found;
}

function isAs(file: Buffer, algorithm: string, wanted: string | undefined): boolean {
  return wanted === undefined || digestOf(file, algorithm) === wanted;
}

function digestOf(file: Buffer, algorithm: string): string {
  return createHash(algorithm).update(readFileSync(file)).digest('hex');
}

/** Digests by path; where the list itself is damaged, no file is as it says. */
async function readContents(tree: string, expected: Sha256): Promise<ReadonlyMap<string, string>> {
  const path = contentsPath(tree);
  const text = await readFile(path, 'latin1');
  const isSound = (await fileDigest(path)) === expected;
  const lines = text.split('\0').filter((line) => line !== '');
  return new Map(lines.map((line) => [line.slice(65), isSound ? line.slice(0, 64) : '']));
}

function readChecksums(tree: string, { list, below }: ChecksumList): ReadonlyMap<string, string> {
  const digests = new Map<string, string>();
  try {
    for (const line of readFileSync(join(tree, list), 'latin1').split('\n')) {
      const found = /^([0-9a-f]{32}) [ *](.+)$/.exec(line);
      if (found === null) continue;
      const [, digest = '', name = ''] = found;
      digests.set(`${below}/${name.replace(/^(\.?\/)+/, '')}`, digest);
    }
  } catch (error) {
    // Packages may come without.
    if (!isErrno(error, 'ENOENT')) throw error;
  }
  return digests;
}
