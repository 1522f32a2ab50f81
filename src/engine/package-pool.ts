import { lstat, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { byBytes } from '../base/canonical.ts';
import { namesIn } from '../base/files.ts';
import { fileDigest } from './content.ts';

/** A file of the package pool: a package named by its SHA-256, or what a broken download left. */
export interface PooledFile {
  readonly path: HostPath;
  readonly bytes: number;
  /** Milliseconds since the epoch: when it was read or written last, as far as the file system tells. */
  readonly lastUsed: number;
}

/** All files of the pool, by name. */
export async function listPool(pool: HostPath): Promise<readonly PooledFile[]> {
  const files: PooledFile[] = [];
  for (const name of (await namesIn(pool)).sort(byBytes)) {
    const path = hostPath(join(pool, name));
    const stats = await lstat(path);
    if (!stats.isFile()) continue;
    const lastUsed = Math.min(Date.now(), Math.max(stats.atimeMs, stats.mtimeMs));
    files.push({ path, bytes: stats.size, lastUsed });
  }
  return files;
}

/** True when a pooled package's content is not what its name says; broken downloads have no such name. */
export async function isCorrupt({ path }: PooledFile): Promise<boolean> {
  const [, digest] = /\/([0-9a-f]{64})\.[a-z]+$/.exec(path) ?? [];
  return digest !== undefined && (await fileDigest(path)) !== digest;
}

/** Removes files; returns how many there were. */
export async function removeFiles(files: readonly PooledFile[]): Promise<number> {
  for (const { path } of files) await rm(path, { force: true });
  return files.length;
}
