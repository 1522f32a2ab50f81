import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { MkimgError } from '../base/errors.ts';
import { temporaryDirectory } from '../base/temporary.ts';
import type { NewcEntry } from '../formats/newc.ts';
import type { ByteSource } from '../formats/bytes.ts';
import { openSource } from '../formats/bytes.ts';
import { scanInitrd } from '../formats/initrd.ts';
import { fileType, writeNewc } from '../formats/newc.ts';
import { memberData, readNewc } from '../formats/newc-reader.ts';
import type { ProgramRequest } from '../sandbox/process.ts';
import { runProgram } from '../sandbox/process.ts';
import type { SegmentFiles } from './segment-cache.ts';

/** For whom a program runs. */
export type ProgramScope = Pick<ProgramRequest, 'events'> & { readonly signal: AbortSignal };

export interface ArchiveWish {
  readonly entries: readonly NewcEntry[];
  /** Seconds since 1970; no entry is younger. */
  readonly epoch: number;
}

/** Writes a segment, uncompressed, and its outline. */
export async function writeSegment(
  { entries, epoch }: ArchiveWish,
  { file, outline }: SegmentFiles,
): Promise<void> {
  await writeArchive(entries, file, epoch);
  await writeArchive(entries.map(withoutData), outline, epoch);
}

/** Writes an outline of these entries, in which directories may stand several times. */
export async function writeOutlineOf(entries: readonly NewcEntry[], outline: HostPath): Promise<void> {
  const byPath = new Map(entries.map((entry) => [entry.path.toString('latin1'), withoutData(entry)]));
  const sorted = [...byPath.values()].sort((left, right) => Buffer.compare(left.path, right.path));
  await writeArchive(sorted, outline, Number.MAX_SAFE_INTEGER);
}

/**
 * Visits the archives of a segment one after the other, those that are compressed unpacked in a scratch directory.
 * @throws MkimgError `bad-initrd` where the segment is not made as the kernel wants it
 */
export async function eachArchive(
  file: HostPath,
  { scratch, scope }: { readonly scratch: HostPath; readonly scope: ProgramScope },
  visit: (source: ByteSource, start: number) => Promise<void>,
): Promise<void> {
  using source = openSource(file);
  const { segments, faults } = scanInitrd(source);
  const [fault] = faults;
  if (fault !== undefined)
    throw new MkimgError('bad-initrd', `A part of the initrd is not sound: ${fault.message}`);
  for (const { encoding, offset, size } of segments) {
    if (encoding === 'none') {
      await visit(source, offset);
      continue;
    }
    await using directory = await temporaryDirectory(scratch, '.archive-');
    const packed = hostPath(join(directory.path, 'packed'));
    const plain = hostPath(join(directory.path, 'plain'));
    await writeFile(packed, source.read(offset, size));
    await runHostProgram({ argv: ['zstd', '-q', '-d', '-c', '--', packed], file: plain }, scope);
    using unpacked = openSource(plain);
    await visit(unpacked, 0);
  }
}

/**
 * Writes the outline of a segment that is there. What is compressed is unpacked on the way, so that it is known to be sound.
 * @throws MkimgError `bad-initrd`
 */
export async function writeOutline({ file, outline }: SegmentFiles, scope: ProgramScope): Promise<void> {
  const entries = new Map<string, NewcEntry>();
  await eachArchive(file, { scratch: hostPath(join(file, '..')), scope }, async (source, start) => {
    addMembers(entries, source, start);
    return Promise.resolve();
  });
  await writeOutlineOf([...entries.values()], outline);
}

function addMembers(entries: Map<string, NewcEntry>, source: ByteSource, start: number): void {
  for (const member of readNewc(source, start, 'kernel')) {
    const { path, mode, uid, gid, mtime } = member;
    const isLink = (mode & fileType.mask) === fileType.symlink;
    const content = isLink ? { content: memberData(source, member) } : {};
    entries.set(path.toString('latin1'), { path, mode, uid, gid, mtime, ...content });
  }
}

async function writeArchive(entries: readonly NewcEntry[], target: HostPath, epoch: number): Promise<void> {
  await using output = await open(target, 'wx', 0o600);
  for await (const chunk of writeNewc(entries, { epoch })) await output.writeFile(chunk);
}

function withoutData(entry: NewcEntry): NewcEntry {
  const { path, mode, uid, gid, mtime, content } = entry;
  const isLink = (mode & fileType.mask) === fileType.symlink;
  return { path, mode, uid, gid, mtime, ...(isLink && content !== undefined ? { content } : {}) };
}

/** Takes the compression that its name tells off a file. `scratch` is a directory for the result, which is removed. */
export async function unpackedFile(file: HostPath, scratch: HostPath, scope: ProgramScope): Promise<Buffer> {
  const suffix = /\.[^.]*$/.exec(file)?.[0] ?? '';
  const tool = { '.xz': 'xz', '.zst': 'zstd', '.gz': 'gzip' }[suffix];
  if (tool === undefined) throw new Error(`internal: ${file} is not compressed`);
  await using directory = await temporaryDirectory(scratch, '.unpacked-');
  const result = hostPath(join(directory.path, 'file'));
  await runHostProgram({ argv: [tool, '-q', '-d', '-c', '--', file], file: result }, scope);
  return await readFile(result);
}

/** Directories of the machine's programs, whatever the caller's PATH says: hooks may come without one. */
const programPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** @throws MkimgError `tool-missing`, `tool-failed` */
export async function runHostProgram(
  { argv, file }: { readonly argv: readonly [string, ...string[]]; readonly file: HostPath },
  scope: ProgramScope,
): Promise<void> {
  await runTo({ file }, argv, scope);
}

/**
 * What a program says on its standard output.
 * @throws MkimgError `tool-missing`, `tool-failed`
 */
export async function hostProgramOutput(
  argv: readonly [string, ...string[]],
  scope: ProgramScope,
): Promise<string> {
  return runTo('capture', argv, scope);
}

async function runTo(
  stdout: 'capture' | { readonly file: HostPath },
  argv: readonly [string, ...string[]],
  { events, signal }: ProgramScope,
): Promise<string> {
  const env = { PATH: programPath, LANG: 'C.UTF-8' };
  const result = await runProgram({ argv, env, stdout, events, signal });
  if (result.exitCode === 0) return result.stdout;
  throw new MkimgError('tool-failed', `${argv[0]} failed`, { tail: result.tail });
}
