import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { lstat, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { digestJson, isObject } from '../../base/canonical.ts';
import { isErrno, MkimgError } from '../../base/errors.ts';
import {
  isDirectory,
  lstatIfExists,
  makeDirectory,
  namesIn,
  syncDirectory,
  writeCacheFile,
} from '../../base/files.ts';
import { openSource } from '../../formats/bytes.ts';
import { scanInitrd } from '../../formats/initrd.ts';
import { joinSegments, layOut } from '../../initrd/join.ts';
import type { Segment } from '../../initrd/segment-cache.ts';
import { glance, isSameSight } from '../../initrd/sightings.ts';
import type { Sightings } from '../../initrd/sightings.ts';
import { fullDisk, requireSpace } from '../../initrd/space.ts';
import { verifySegments } from '../../initrd/verify.ts';
import type { VerbContext } from '../verb.ts';
import { lockCache } from './cache-lock.ts';

/** Something that is put together out of segments and then stands in one place. */
export interface Product {
  readonly path: HostPath;
  /** Everything that decides what it is; the same means that it need not be made again. */
  readonly identity: readonly string[];
  /** Bytes that it will take at its place. */
  readonly bytes: number;
  readonly type: 'file' | 'directory';
  /** Makes it under another name beside its place. */
  readonly make: (temporary: HostPath) => Promise<void>;
}

/** What is known of a product that was put in its place. */
interface ProductRecord {
  readonly identity: readonly string[];
  readonly file: Sightings;
}

/**
 * Puts a product in its place, complete or not at all; the one before stays until then. Nothing is done when it is there
 * already, made of the same and untouched.
 */
export async function publishProduct(
  product: Product,
  cache: HostPath,
  context: Pick<VerbContext, 'events' | 'options' | 'signal'>,
): Promise<void> {
  const { events, options } = context;
  const { path, identity, bytes } = product;
  const record = recordOf(path, cache);
  const isCurrent = options.force === 0 && isAsRecorded(record, product);
  if (!isCurrent) {
    if (!(await isDirectory(dirname(path)))) throw noDirectory(path);
    await refuseForeign(product, { isOurs: options.force > 0 || readRecord(record) !== undefined });
    await using _lock = await lockCache(cache, context);
    await clearTemporaries(path);
    await requireSpace(dirname(path), bytes);
    await placeProduct(product);
    await makeDirectory(dirname(record), 0o700);
    const written: ProductRecord = { identity, file: glance([path]) };
    await writeCacheFile(record, `${JSON.stringify(written)}\n`, 0o600);
  }
  const { size } = await lstat(path);
  const state = isCurrent ? 'unchanged' : 'built';
  events.emit({ type: 'artifact', name: basename(path), path, bytes: size, state });
}

/** What stands at the place and is no earlier product stays there. */
async function refuseForeign(
  { path, type }: Product,
  { isOurs }: { readonly isOurs: boolean },
): Promise<void> {
  const stats = await lstatIfExists(path);
  if (stats === undefined || (type === 'file' && !stats.isDirectory())) return;
  const isReplaced = type === 'directory' && stats.isDirectory();
  if (isReplaced && (isOurs || (await namesIn(path)).length === 0)) return;
  throw new MkimgError(
    'output-exists',
    `${path} is ${stats.isDirectory() ? 'a directory' : 'a file'} that mkimg did not make`,
    {
      hint: isReplaced
        ? 'Move it away, name another --output, or give --force to replace all that is in it.'
        : 'Move it away, or name another --output.',
      class: 'usage',
    },
  );
}

function noDirectory(path: HostPath): MkimgError {
  return new MkimgError('output-not-writable', `There is no directory ${dirname(path)}`, {
    hint: 'Make it, or name another place with --output.',
    class: 'usage',
  });
}

function recordOf(path: HostPath, cache: HostPath): string {
  return join(cache, 'records', `output-${digestJson(path)}.json`);
}

function isAsRecorded(file: string, { path, identity }: Pick<Product, 'path' | 'identity'>): boolean {
  const record = readRecord(file);
  if (record === undefined || JSON.stringify(record.identity) !== JSON.stringify(identity)) return false;
  return isSameSight(record.file, glance([path]));
}

function readRecord(file: string): ProductRecord | undefined {
  try {
    const record: unknown = JSON.parse(readFileSync(file, 'utf8'));
    const isRecord = isObject(record) && Array.isArray(record['identity']) && isObject(record['file']);
    return isRecord ? (record as unknown as ProductRecord) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** What a killed process left beside the product; whoever writes there holds the lock. */
async function clearTemporaries(path: HostPath): Promise<void> {
  const name = basename(path);
  for (const other of await namesIn(dirname(path))) {
    if (!other.startsWith(`${name}.`) || !/^[0-9a-f]{12}\.tmp(?:\.old)?$/.test(other.slice(name.length + 1)))
      continue;
    await rm(join(dirname(path), other), { recursive: true, force: true });
  }
}

/** Makes a product in its place, at once or not at all. */
export async function placeProduct({ path, make, bytes }: Product): Promise<void> {
  const temporary = hostPath(`${path}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    await make(temporary);
    await makeWay(path, temporary);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    if (isErrno(error, 'ENOSPC', 'EDQUOT')) throw await fullDisk(dirname(path), bytes);
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** A directory does not replace another one that holds something. */
async function makeWay(path: HostPath, temporary: HostPath): Promise<void> {
  if (!(await isDirectory(temporary)) || !(await isDirectory(path))) return;
  const aside = `${temporary}.old`;
  await rename(path, aside);
  await rm(aside, { recursive: true });
}

/** Removes what publishProduct() put there; what somebody else made stays. */
export async function removeProduct(path: HostPath, cache: HostPath): Promise<void> {
  const record = recordOf(path, cache);
  const identity = readRecord(record)?.identity;
  if (identity === undefined || !isAsRecorded(record, { path, identity })) return;
  await rm(path, { recursive: true, force: true });
  try {
    await rm(record, { force: true });
  } catch (error) {
    // It says of a file that is not there how that looked.
    if (!isErrno(error, 'EROFS', 'EACCES', 'EPERM')) throw error;
  }
}

/** The initrd as one file. */
export function initrdFile(segments: readonly Segment[], path: HostPath): Product {
  return {
    path,
    type: 'file',
    identity: segments.map(({ sha256 }) => sha256),
    bytes: layOut(segments.map(({ bytes }) => bytes)).size,
    make: (temporary) => writeInitrd(segments, temporary),
  };
}

/**
 * Joins the segments into a new file, and reads it as the kernel would before anybody can boot it.
 * @throws MkimgError `bad-initrd`
 */
export async function writeInitrd(segments: readonly Segment[], target: HostPath): Promise<void> {
  await verifySegments(segments);
  await joinSegments(segments, target);
  using source = openSource(target);
  const { faults } = scanInitrd(source);
  const [fault] = faults.filter(({ severity }) => severity === 'error');
  if (fault !== undefined)
    throw new MkimgError('bad-initrd', `${target} is no sound initrd: ${fault.message}`);
}
