import { open, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import pLimit from 'p-limit';
import type { HostPath, Sha256 } from '../base/brand.ts';
import { hostPath, isSha256 } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import { isObject, sha256 } from '../base/canonical.ts';
import { isErrno } from '../base/errors.ts';
import type { NewcEntry } from '../formats/newc.ts';
import type { Compression } from '../plan/vocabulary.ts';
import { compressionCommand } from '../steps/compression.ts';
import type { ProgramScope } from './archive.ts';
import { hostProgramOutput, runHostProgram, writeOutlineOf } from './archive.ts';
import type { Segment, SegmentFiles } from './segment-cache.ts';

/** An archive that becomes a part of a segment's file. */
export interface Piece {
  /** Uncompressed. */
  readonly archive: HostPath;
  /** Of the archive. */
  readonly digest: Sha256;
  readonly entries: readonly NewcEntry[];
}

/** A piece in a segment's file, compressed apart from its neighbours. */
interface Frame {
  /** Of the piece before it was compressed. */
  readonly archive: Sha256;
  readonly offset: number;
  readonly bytes: number;
  /** Of these bytes. */
  readonly sha256: Sha256;
}

export interface PackWish {
  readonly pieces: readonly Piece[];
  readonly compression: Compression;
  /** Where pieces may have been compressed before. */
  readonly earlier: readonly Segment[];
}

/**
 * Writes a segment out of archives, one after the other, and its outline. A piece that an earlier segment has is copied from
 * there, if the same compressor made it: so the bytes do not depend on what was made before. No sandbox is needed: mkimg has
 * written the archives.
 * @returns where the pieces are, for the manifest
 */
export async function packSegment(
  { pieces, compression, earlier }: PackWish,
  { file, outline }: SegmentFiles,
  scope: ProgramScope,
): Promise<Json> {
  await writeOutlineOf(
    pieces.flatMap(({ entries }) => entries),
    outline,
  );
  const compressor = await compressorIdentity(compression, scope);
  const known = framesOf(earlier, compressor);
  const limit = pLimit(availableParallelism());
  const packed = await Promise.all(
    pieces.map((piece) =>
      limit(
        async () => (await copied(known.get(piece.digest))) ?? (await compressed(piece, compression, scope)),
      ),
    ),
  );
  await writeFile(file, packed, { flag: 'wx', mode: 0o600 });
  const frames: Json[] = [];
  let offset = 0;
  for (const [index, { digest }] of pieces.entries()) {
    const bytes = packed[index] ?? Buffer.alloc(0);
    frames.push({ archive: digest, offset, bytes: bytes.length, sha256: sha256(bytes) });
    offset += bytes.length;
  }
  return { compressor, frames };
}

async function compressed(
  { archive }: Piece,
  compression: Compression,
  scope: ProgramScope,
): Promise<Buffer> {
  if (compression.algorithm === 'none') return readFile(archive);
  const packed = hostPath(`${archive}.packed`);
  const [tool, ...options] = compressionCommand(compression);
  await runHostProgram({ argv: [tool, ...options, '-c', '--', archive], file: packed }, scope);
  return readFile(packed);
}

/** What decides about the bytes besides the archive. */
async function compressorIdentity(compression: Compression, scope: ProgramScope): Promise<string> {
  if (compression.algorithm === 'none') return 'none';
  const command = compressionCommand(compression);
  return `${command.join(' ')}: ${(await hostProgramOutput([command[0], '--version'], scope)).trim()}`;
}

type StoredFrame = Frame & { readonly file: HostPath };

function framesOf(segments: readonly Segment[], compressor: string): ReadonlyMap<Sha256, StoredFrame> {
  const found = new Map<Sha256, StoredFrame>();
  for (const { content, path } of segments) {
    const packing = isObject(content) ? content['packing'] : undefined;
    if (!isObject(packing) || packing['compressor'] !== compressor || !Array.isArray(packing['frames']))
      continue;
    for (const value of packing['frames']) {
      const frame = isObject(value) ? parseFrame(value) : undefined;
      if (frame !== undefined) found.set(frame.archive, { ...frame, file: path });
    }
  }
  return found;
}

function parseFrame(value: Readonly<Record<string, unknown>>): Frame | undefined {
  const { archive, offset, bytes, sha256: digest } = value;
  if (!isSha256(archive) || !isSha256(digest)) return undefined;
  if (typeof offset !== 'number' || typeof bytes !== 'number') return undefined;
  return { archive, offset, bytes, sha256: digest };
}

/** undefined where there is none, or it is not what it was. */
async function copied(frame: StoredFrame | undefined): Promise<Buffer | undefined> {
  if (frame === undefined) return undefined;
  const data = Buffer.alloc(frame.bytes);
  try {
    await using source = await open(frame.file, 'r');
    await source.read(data, 0, frame.bytes, frame.offset);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EIO')) return undefined;
    throw error;
  }
  return sha256(data) === frame.sha256 ? data : undefined;
}
