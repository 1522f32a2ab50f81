import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import { digestJson, isObject } from '../base/canonical.ts';
import { isErrno } from '../base/errors.ts';
import { makeDirectory, writeCacheFile } from '../base/files.ts';
import type { Segment, SegmentRole } from './segment-cache.ts';
import { storedSegment } from './segment-cache.ts';
import type { Sightings } from './sightings.ts';
import { glance, isSameSight, look } from './sightings.ts';

/*
 * A record says of which files a segment was made and how they looked. It answers a later call in a moment: neither the
 * configuration nor an index of packages is read when nothing looks different. Records only save time; losing one costs a
 * full evaluation, and a wrong one is found out because everything that a segment depends on is looked at.
 */

/** What decides which segment is wanted, other than the content of files: format of records, version, options. */
export type RecordIdentity = { readonly [name: string]: Json | undefined };

export interface RecordedSegment {
  readonly segment: Segment | undefined;
  /** What the maker noted for those who come later. */
  readonly notes: Json;
}

/** What shall be remembered. `segment` is absent where nothing was to be made. */
export interface SegmentRecord extends RecordedSegment {
  readonly role: SegmentRole;
  readonly identity: RecordIdentity;
  /** Files and directories that decide about the segment. */
  readonly watched: readonly string[];
}

const format = 2;

function recordPath(directory: HostPath, role: SegmentRole, identity: RecordIdentity): string {
  return join(directory, 'records', `${role}-${digestJson({ format, ...identity })}.json`);
}

/** The segment that was made last time, if nothing that it depends on looks different; undefined otherwise. */
export function recallSegment(
  directory: HostPath,
  role: SegmentRole,
  identity: RecordIdentity,
): RecordedSegment | undefined {
  const record = readRecord(recordPath(directory, role, identity));
  if (record === undefined) return undefined;
  const now = look(record.watched);
  if (now === undefined || !isSameSight(record.sightings, now)) return undefined;
  const { segment, notes } = record;
  if (segment !== undefined && !isSameSight(record.file, glanceAt(segment))) return undefined;
  return { segment, notes };
}

/**
 * Keeps a record. `before` is how the files looked before the segment was made: one that was changed meanwhile will look
 * different next time.
 */
export async function rememberSegment(
  directory: HostPath,
  record: SegmentRecord,
  before: Sightings | undefined,
): Promise<void> {
  if (before === undefined) return;
  const { role, identity, watched, segment, notes } = record;
  await makeDirectory(join(directory, 'records'), 0o700);
  const text = JSON.stringify({
    ...{ watched, sightings: before, notes },
    ...(segment && { segment: withoutContent(segment), file: glanceAt(segment) }),
  });
  await writeCacheFile(recordPath(directory, role, identity), `${text}\n`, 0o600);
}

function glanceAt({ path, outline }: Segment): Sightings {
  return glance([path, outline]);
}

/** The content stands in the manifest; thousands of lines of it would have to be read each time. */
function withoutContent(segment: Segment): Omit<Segment, 'content' | 'outline'> {
  const { role, key, path, bytes, sha256, outlineSha256 } = segment;
  return { role, key, path, bytes, sha256, outlineSha256 };
}

interface StoredRecord extends RecordedSegment {
  readonly watched: readonly string[];
  readonly sightings: Sightings;
  readonly file: Sightings;
}

function readRecord(path: string): StoredRecord | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (!isObject(value) || !Array.isArray(value['watched']) || !isObject(value['sightings']))
      return undefined;
    const stored = value['segment'];
    const segment = isObject(stored) ? recordedSegment(stored) : undefined;
    if (stored !== undefined && segment === undefined) return undefined;
    return {
      watched: value['watched'].filter((entry) => typeof entry === 'string'),
      sightings: value['sightings'] as Sightings,
      file: isObject(value['file']) ? (value['file'] as Sightings) : {},
      notes: (value['notes'] ?? null) as Json,
      segment,
    };
  } catch (error) {
    if (error instanceof SyntaxError || isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

function recordedSegment(value: Readonly<Record<string, unknown>>): Segment | undefined {
  const { path } = value;
  return typeof path === 'string' && path.startsWith('/')
    ? storedSegment(value, hostPath(path), null)
    : undefined;
}
