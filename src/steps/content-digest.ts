import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { readFileSync, readlinkSync } from 'node:fs';
import type { HostPath } from '../base/brand.ts';
import { walkTree } from './walk.ts';

/** Digest of names and contents of files below a directory, as far as `counts` says. Links count by where they lead. */
export async function contentDigest(
  directory: HostPath,
  {
    counts,
    signal,
  }: { readonly counts: (path: string, stats: Stats) => boolean; readonly signal: AbortSignal },
): Promise<string> {
  const hash = createHash('sha256');
  for await (const { path, file, stats } of walkTree(directory, signal)) {
    const name = path.toString('latin1');
    if (stats.isDirectory() || !counts(name, stats)) continue;
    hash.update(`${name}\0`, 'latin1');
    if (stats.isSymbolicLink()) hash.update(readlinkSync(file, 'buffer'));
    else if (stats.isFile()) hash.update(`${stats.size}\0`).update(readFileSync(file));
  }
  return hash.digest('hex');
}
