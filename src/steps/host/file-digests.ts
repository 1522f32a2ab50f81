import { lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { makeDirectory, readTextIfExists, writeCacheFile } from '../../base/files.ts';
import type { InventoryItem, Reader } from './inventory.ts';
import { md5 } from './inventory.ts';

/**
 * MD5 digests of installed files, kept with how the files looked, so that a system's hundred megabytes are not read again for
 * each package that is upgraded.
 */
export class FileDigests {
  readonly #file: string;
  readonly #known: Map<string, readonly [sight: string, digest: string]>;
  #isChanged = false;

  private constructor(file: string, known: Map<string, readonly [string, string]>) {
    this.#file = file;
    this.#known = known;
  }

  /** Reads what is known; nothing where that is damaged. */
  static async open(directory: HostPath): Promise<FileDigests> {
    const file = join(directory, 'installed-files.json');
    return new FileDigests(file, parse(await readTextIfExists(file)));
  }

  /** Answers with the digest that is known, or reads the file. */
  readonly read: Reader = (item) => {
    const path = item.at.toString('latin1');
    const [sight, changedAt] = sightOf(item);
    const known = this.#known.get(path);
    if (known?.[0] === sight) return known[1];
    const digest = md5(readFileSync(item.at));
    // One that is written at this moment may look the same when it is done.
    if (Date.now() - changedAt > settledAfter) {
      this.#known.set(path, [sight, digest]);
      this.#isChanged = true;
    }
    return digest;
  };

  async save(): Promise<void> {
    if (!this.#isChanged) return;
    await makeDirectory(join(this.#file, '..'));
    await writeCacheFile(this.#file, JSON.stringify([...this.#known]));
  }
}

/** Milliseconds after which another change gives a file another time, whatever its file system. */
const settledAfter = 2000;

/** How a file looks, and when that changed last, in milliseconds since the epoch. */
export function sightOf({ at }: Pick<InventoryItem, 'at'>): readonly [sight: string, changedAt: number] {
  const { ino, size, mtimeMs, ctimeMs } = lstatSync(at);
  return [[ino, size, mtimeMs, ctimeMs].join(':'), ctimeMs];
}

function parse(text: string | undefined): Map<string, readonly [string, string]> {
  try {
    const value: unknown = JSON.parse(text ?? '[]');
    if (!Array.isArray(value)) return new Map();
    const rows = value.filter(
      (row): row is [string, [string, string]] =>
        Array.isArray(row) && typeof row[0] === 'string' && Array.isArray(row[1]),
    );
    return new Map(rows);
  } catch (error) {
    if (error instanceof SyntaxError) return new Map();
    throw error;
  }
}
