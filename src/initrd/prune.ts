import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { isErrno } from '../base/errors.ts';
import { modifiedAt, namesIn } from '../base/files.ts';

/** Prefix of directories that exist only while something is made. */
const temporaryPrefix = '.';
/** What writeFileAtomically() calls a file that is not whole yet. */
const halfWritten = /\.[0-9a-f]{12}\.tmp$/;
const day = 24 * 60 * 60 * 1000;
/** Days that a segment or a record is kept which nothing refers to. */
const keptDays = 30;

/** Removes what processes left that were killed. Only for whoever holds the lock of the cache. */
export async function clearRemains(cache: HostPath): Promise<void> {
  const names = ['', 'segments', 'records', 'standing', 'manifests', 'modules'];
  for (const directory of names.map((name) => join(cache, name))) {
    for (const name of await namesIn(directory)) {
      if (!name.startsWith(temporaryPrefix) && !halfWritten.test(name)) continue;
      await rm(join(directory, name), { recursive: true, force: true });
    }
  }
}

/**
 * Removes records that were written long ago and whose kernel is gone, then segments that no record names and that were not
 * used for long. Only for whoever holds the lock of the cache.
 */
export async function pruneSegments(cache: HostPath): Promise<void> {
  const records = join(cache, 'records');
  const named = new Set<string>();
  for (const name of await namesIn(records)) {
    const file = join(records, name);
    const text = await readFile(file, 'utf8').catch(() => '');
    if (name.startsWith('modules-') && (await isOld(file)) && !(await hasKernel(text))) {
      await rm(file, { force: true });
      continue;
    }
    for (const [key] of text.matchAll(/\b[0-9a-f]{64}\b/g)) named.add(key);
  }
  const segments = join(cache, 'segments');
  for (const name of await namesIn(segments)) {
    const key = name.slice(name.indexOf('-') + 1);
    if (named.has(key) || !(await isOld(join(segments, name)))) continue;
    await rm(join(segments, name), { recursive: true, force: true });
  }
}

async function isOld(path: string): Promise<boolean> {
  const modified = await modifiedAt(path);
  return modified !== undefined && Date.now() - modified > keptDays * day;
}

/** Whether the module index is there that the record was made of. */
async function hasKernel(record: string): Promise<boolean> {
  const index = /"(\/[^"]*\/modules\.dep)"/.exec(record)?.[1];
  if (index === undefined) return false;
  try {
    return (await stat(index)).isFile();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}
