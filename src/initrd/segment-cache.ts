import { createReadStream } from 'node:fs';
import { createHash } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath, Sha256 } from '../base/brand.ts';
import { hostPath, isSha256, sha256Digest } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import { canonicalJson, isObject } from '../base/canonical.ts';
import { isErrno, MkimgError } from '../base/errors.ts';
import { isDirectory, makeDirectory, namesIn, readTextIfExists, syncDirectory } from '../base/files.ts';
import { temporaryDirectory } from '../base/temporary.ts';

/** The parts of an initrd in the order in which the kernel reads them. */
export const segmentRoles = ['microcode', 'base', 'profile', 'modules', 'host'] as const;
export type SegmentRole = (typeof segmentRoles)[number];

/** A part of an initrd in the cache: a file that never changes, and what is known of it. */
export interface Segment {
  readonly role: SegmentRole;
  readonly key: Sha256;
  readonly path: HostPath;
  readonly bytes: number;
  readonly sha256: Sha256;
  /** What is in it and why; plain JSON, kept beside the file. */
  readonly content: Json;
  /** An archive of the same members without their data, by which segments are checked against each other. */
  readonly outline: HostPath;
  readonly outlineSha256: Sha256;
}

export interface SegmentDraft {
  readonly role: SegmentRole;
  readonly key: Sha256;
  /** Writes the segment's files, which do not exist yet, and answers what the manifest says of it. */
  write(files: SegmentFiles): Promise<Json>;
}

export interface SegmentFiles {
  readonly file: HostPath;
  readonly outline: HostPath;
}

/** Segments by key. An entry comes into being by one rename(2), so that a reader never sees a part of it. */
export interface SegmentCache {
  /** The segment of this key: as it is, or made now where it is missing or damaged. */
  obtain(draft: SegmentDraft): Promise<Segment>;
}

/** The segment of a draft, with its bytes compared with their digest; undefined when it is missing or damaged. */
export async function findSegment(
  directory: HostPath,
  { role, key }: Pick<SegmentDraft, 'role' | 'key'>,
): Promise<Segment | undefined> {
  return readSegment(entryDirectory(segmentRoot(directory), role, key));
}

/** A segment as its manifest describes it, whether or not its file is still sound. */
export type KnownSegment = Pick<Segment, 'role' | 'bytes' | 'sha256' | 'content'>;

/**
 * Everything that the cache remembers of segments, whether or not their files are still sound; nothing where there is no
 * cache, or none that may be read.
 */
export async function knownSegments(
  directory: HostPath,
  roles: readonly SegmentRole[] = segmentRoles,
): Promise<readonly Segment[]> {
  const root = segmentRoot(directory);
  const known: Segment[] = [];
  for (const name of await namesIn(root)) {
    if (!roles.some((role) => name.startsWith(`${role}-`))) continue;
    const text = await readTextIfExists(join(root, name, manifestName));
    const segment =
      text === undefined ? undefined : parseManifest(text, segmentFile(hostPath(join(root, name))));
    if (segment !== undefined) known.push(segment);
  }
  return known;
}

function segmentRoot(directory: HostPath): HostPath {
  return hostPath(join(directory, 'segments'));
}

/**
 * Opens the segments below a directory, which is made. It is closed to other users: segments may hold keys of disks.
 * @param onDamage is told of a segment that is not what it was, and is therefore made again
 */
export async function openSegmentCache(
  directory: HostPath,
  onDamage: (segment: Pick<Segment, 'role' | 'path'>) => void,
): Promise<SegmentCache> {
  const root = segmentRoot(directory);
  await makeDirectory(directory, 0o700);
  await makeDirectory(root, 0o700);
  return {
    obtain: async (draft) => {
      const known = await findSegment(directory, draft);
      if (known !== undefined) {
        await noteUse(known.path);
        return known;
      }
      const entry = entryDirectory(root, draft.role, draft.key);
      if (await isDirectory(entry)) onDamage({ role: draft.role, path: segmentFile(entry) });
      return makeSegment(root, draft);
    },
  };
}

/**
 * Makes sure that a segment is still what it was when it was made; its size and times do not tell of a bit that the disk
 * lost.
 * @throws MkimgError `bad-segment`, with the file of the segment as its item
 */
export async function requireSound(segment: Segment): Promise<void> {
  await requireDigest(segment.path, segment.sha256, segment);
  await requireSoundOutline(segment);
}

/** The same of the outline alone. */
export async function requireSoundOutline(segment: Segment): Promise<void> {
  await requireDigest(segment.outline, segment.outlineSha256, segment);
}

async function requireDigest(file: HostPath, digest: Sha256, { path }: Segment): Promise<void> {
  try {
    if ((await fileSha256(file)) === digest) return;
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'EIO')) throw error;
  }
  throw damagedSegment(path);
}

/** The error of a segment that is not what it was. */
export function damagedSegment(path: HostPath): MkimgError {
  return new MkimgError('bad-segment', `The cached part ${path} is damaged.`, {
    hint: 'It was made again and is damaged already: check the disk.',
    items: [path],
  });
}

/** Removes a segment from the cache, by its file. */
export async function discardSegment(path: HostPath): Promise<void> {
  await rm(join(path, '..'), { recursive: true, force: true });
}

/** Of manifests. */
const format = 2;
const fileName = 'initrd';
const manifestName = 'manifest.json';
const outlineName = 'outline.cpio';

/** Where the outline of a segment is. */
export function outlineOf(segmentFile: string): HostPath {
  return hostPath(join(segmentFile, '..', outlineName));
}

function segmentFile(entry: HostPath): HostPath {
  return hostPath(join(entry, fileName));
}

function entryDirectory(root: HostPath, role: SegmentRole, key: Sha256): HostPath {
  return hostPath(join(root, `${role}-${key}`));
}

async function makeSegment(root: HostPath, draft: SegmentDraft): Promise<Segment> {
  const { role, key } = draft;
  await using stage = await temporaryDirectory(root, '.new-');
  const entry = hostPath(join(stage.path, 'entry'));
  await mkdir(entry, 0o700);
  const file = segmentFile(entry);
  const outline = outlineOf(file);
  const content = await draft.write({ file, outline });
  await chmod(file, 0o600);
  await syncFile(file);
  const made = {
    ...{ format, role, key, bytes: (await stat(file)).size, content },
    ...{ sha256: await fileSha256(file), outlineSha256: await fileSha256(outline) },
  };
  const manifest = hostPath(join(entry, manifestName));
  await writeSynced(manifest, `${canonicalJson(made)}\n`);
  const target = entryDirectory(root, role, key);
  await replaceDirectory(entry, target);
  const segment = await readSegment(target);
  if (segment === undefined) throw new Error(`internal: segment ${target} is not what was written`);
  return segment;
}

/** Whoever comes second finds a sound entry of the same key, which will do; a damaged one makes way. */
async function replaceDirectory(source: string, target: HostPath): Promise<void> {
  for (;;) {
    try {
      await rename(source, target);
      await syncDirectory(join(target, '..'));
      return;
    } catch (error) {
      if (!isErrno(error, 'ENOTEMPTY', 'EEXIST')) throw error;
    }
    if ((await readSegment(target)) !== undefined) return;
    const aside = `${source}.damaged`;
    await rename(target, aside).catch((error: unknown) => {
      if (!isErrno(error, 'ENOENT')) throw error;
    });
    await rm(aside, { recursive: true, force: true });
  }
}

async function readSegment(directory: HostPath): Promise<Segment | undefined> {
  const path = segmentFile(directory);
  try {
    const segment = parseManifest(await readFile(join(directory, manifestName), 'utf8'), path);
    if (segment === undefined || (await stat(path)).size !== segment.bytes) return undefined;
    await requireSound(segment);
    return segment;
  } catch (error) {
    const isDamaged = error instanceof MkimgError && error.code === 'bad-segment';
    if (isDamaged || isErrno(error, 'ENOENT', 'ENOTDIR', 'EIO')) return undefined;
    throw error;
  }
}

function parseManifest(text: string, path: HostPath): Segment | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (!isObject(value) || value['format'] !== format) return undefined;
    return storedSegment(value, path, value['content'] as Json);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** A segment from plain JSON; undefined for what is not of its form, as a damaged file may be. */
export function storedSegment(
  value: Readonly<Record<string, unknown>>,
  path: HostPath,
  content: Json,
): Segment | undefined {
  const { role, key, bytes, sha256, outlineSha256 } = value;
  const known = segmentRoles.find((candidate) => candidate === role);
  if (known === undefined || typeof bytes !== 'number') return undefined;
  if (!isSha256(key) || !isSha256(sha256) || !isSha256(outlineSha256)) return undefined;
  return { role: known, key, path, bytes, sha256, content, outline: outlineOf(path), outlineSha256 };
}

const day = 24 * 60 * 60 * 1000;

/** The time of last use, by which old segments are told; to the day, so that most uses write nothing. */
async function noteUse(path: HostPath): Promise<void> {
  const now = new Date();
  const directory = join(path, '..');
  try {
    if (now.getTime() - (await stat(directory)).mtimeMs < day) return;
    await utimes(directory, now, now);
  } catch (error) {
    if (!isErrno(error, 'EROFS', 'EACCES', 'EPERM', 'ENOENT')) throw error;
  }
}

async function fileSha256(path: HostPath): Promise<Sha256> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return sha256Digest(hash.digest('hex'));
}

async function syncFile(path: HostPath): Promise<void> {
  await using handle = await open(path, 'r');
  await handle.sync();
}

async function writeSynced(path: HostPath, text: string): Promise<void> {
  await using handle = await open(path, 'wx', 0o600);
  await handle.writeFile(text);
  await handle.sync();
}
