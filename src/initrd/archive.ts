import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { MkimgError } from '../base/errors.ts';
import { temporaryDirectory } from '../base/temporary.ts';
import type { NewcEntry } from '../formats/newc.ts';
import { openSource } from '../formats/bytes.ts';
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
  /** Compress with zstd; otherwise the archive is raw. */
  readonly compress: boolean;
}

/** Whoever installs a kernel waits: level 19 takes twenty times as long to save a sixth. */
const zstdLevel = 3;

/** Writes a segment and its outline. Its input is the machine's own files: no sandbox is needed. */
export async function writeSegment(
  { entries, epoch, compress }: ArchiveWish,
  { file, outline }: SegmentFiles,
  scope: ProgramScope,
): Promise<void> {
  const plain = compress ? hostPath(`${file}.cpio`) : file;
  await writeArchive(entries, plain, epoch);
  await writeArchive(entries.map(withoutData), outline, epoch);
  if (!compress) return;
  await runHostProgram({ argv: ['zstd', '-q', '-T0', `-${zstdLevel}`, '-c', '--', plain], file }, scope);
  await rm(plain);
}

/** Unpacks what writeSegment() or the engine packed. */
export async function unpackZstd(file: HostPath, target: HostPath, scope: ProgramScope): Promise<void> {
  await runHostProgram({ argv: ['zstd', '-q', '-d', '-c', '--', file], file: target }, scope);
}

/**
 * Writes the outline of an archive that is compressed with zstd. The archive is unpacked on the way, so that its members
 * are known to be sound.
 */
export async function writeOutline({ file, outline }: SegmentFiles, scope: ProgramScope): Promise<void> {
  const plain = hostPath(`${file}.cpio`);
  await unpackZstd(file, plain, scope);
  using source = openSource(plain);
  const entries: NewcEntry[] = [];
  for (const member of readNewc(source, 0, 'kernel')) {
    const { path, mode, uid, gid, mtime } = member;
    const isLink = (mode & fileType.mask) === fileType.symlink;
    const content = isLink ? { content: memberData(source, member) } : {};
    entries.push({ path, mode, uid, gid, mtime, ...content });
  }
  await writeArchive(entries, outline, Number.MAX_SAFE_INTEGER);
  await rm(plain);
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
async function runHostProgram(
  { argv, file }: { readonly argv: readonly [string, ...string[]]; readonly file: HostPath },
  { events, signal }: ProgramScope,
): Promise<void> {
  const env = { PATH: programPath, LANG: 'C.UTF-8' };
  const { exitCode, tail } = await runProgram({ argv, env, stdout: { file }, events, signal });
  if (exitCode === 0) return;
  throw new MkimgError('tool-failed', `${argv[0]} failed`, { tail });
}
