import { createReadStream } from 'node:fs';
import { createHash } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath, Sha256 } from '../base/brand.ts';
import { hostPath, sha256Digest } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import { canonicalJson, isObject } from '../base/canonical.ts';
import { isErrno, MkimgError } from '../base/errors.ts';
import { makeDirectory, namesIn, readTextIfExists, syncDirectory } from '../base/files.ts';
import { temporaryDirectory } from '../base/temporary.ts';

/** The parts of an initrd in the order in which the kernel reads them. */
export const segmentRoles = ['microcode', 'base', 'modules', 'host'] as const;
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

/** Everything that the cache remembers of segments; nothing where there is no cache, or none that may be read. */
export async function knownSegments(directory: HostPath): Promise<readonly KnownSegment[]> {
  const root = segmentRoot(directory);
  const known: KnownSegment[] = [];
  for (const name of await namesIn(root)) {
    const text = await readTextIfExists(join(root, name, manifestName));
    const segment =
      text === undefined ? undefined : parseManifest(text, hostPath(join(root, name, fileName)));
    if (segment !== undefined) known.push(segment);
  }
  return known;
}

function segmentRoot(directory: HostPath): HostPath {
  return hostPath(join(directory, 'segments'));
}

/**
 * Opens the segments below a directory, which is made. It is closed to other users: segments may hold keys of disks.
 * @throws MkimgError `cache-not-writable`
 */
export async function openSegmentCache(directory: HostPath): Promise<SegmentCache> {
  const root = segmentRoot(directory);
  try {
    await makeDirectory(directory, 0o700);
    await makeDirectory(root, 0o700);
  } catch (error) {
    if (!isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'ENOENT')) throw error;
    throw new MkimgError('cache-not-writable', `Cannot write to the cache directory ${directory}`, {
      hint: 'Name a directory of yours with CacheDirectory= or $XDG_CACHE_HOME.',
      class: 'usage',
      cause: error,
    });
  }
  return {
    obtain: async (draft) => {
      const known = await findSegment(directory, draft);
      if (known !== undefined) {
        await noteUse(known.path);
        return known;
      }
      return makeSegment(root, draft);
    },
  };
}

const fileName = 'initrd';
const manifestName = 'manifest.json';
const outlineName = 'outline.cpio';

/** Where the outline of a segment is. */
export function outlineOf(segmentFile: string): HostPath {
  return hostPath(join(segmentFile, '..', outlineName));
}

function entryDirectory(root: HostPath, role: SegmentRole, key: Sha256): HostPath {
  return hostPath(join(root, `${role}-${key}`));
}

async function makeSegment(root: HostPath, draft: SegmentDraft): Promise<Segment> {
  const { role, key } = draft;
  await using stage = await temporaryDirectory(root, '.new-');
  const entry = join(stage.path, 'entry');
  await mkdir(entry, 0o700);
  const file = hostPath(join(entry, fileName));
  const content = await draft.write({ file, outline: outlineOf(file) });
  await chmod(file, 0o600);
  await syncFile(file);
  const { size } = await stat(file);
  const made = { format: 1, role, key, bytes: size, sha256: await fileSha256(file), content };
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
  const path = hostPath(join(directory, fileName));
  try {
    const segment = parseManifest(await readFile(join(directory, manifestName), 'utf8'), path);
    if (segment === undefined || (await stat(path)).size !== segment.bytes) return undefined;
    return (await fileSha256(path)) === segment.sha256 ? segment : undefined;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

function parseManifest(text: string, path: HostPath): Segment | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (!isObject(value) || value['format'] !== 1) return undefined;
    const { role, key, bytes, sha256, content } = value;
    const known = segmentRoles.find((candidate) => candidate === role);
    if (known === undefined || typeof key !== 'string' || typeof sha256 !== 'string') return undefined;
    if (typeof bytes !== 'number') return undefined;
    return {
      ...{ role: known, key: sha256Digest(key), path, bytes, sha256: sha256Digest(sha256) },
      content: content as Json,
      outline: outlineOf(path),
    };
  } catch (error) {
    // A manifest that was damaged, be it in its syntax or in its digests, counts as none.
    if (error instanceof Error && !isErrno(error)) return undefined;
    throw error;
  }
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
