import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import type { NewcEntry } from '../formats/newc.ts';
import { writeNewc } from '../formats/newc.ts';
import type { Compression } from '../plan/vocabulary.ts';
import { compressFile } from './compression.ts';
import type { BuildContext } from './implementation.ts';

export interface ArchiveRequest {
  readonly entries: Iterable<NewcEntry>;
  /** Does not exist yet. */
  readonly target: HostPath;
  readonly compression: Compression;
  readonly epoch: number;
}

/**
 * Writes a CPIO archive, compressed as asked. The uncompressed one stands in the step's scratch directory: the compressors
 * then know its size and write it into their header.
 * @returns the length of the uncompressed archive in bytes.
 */
export async function writeArchive(request: ArchiveRequest, context: BuildContext): Promise<number> {
  const { compression, target } = request;
  if (compression.algorithm === 'none') return writePlain(request, target, context);
  const plain = hostPath(join(context.work, 'archive.cpio'));
  const size = await writePlain(request, plain, context);
  await compressFile({ source: plain, target, compression }, context);
  return size;
}

async function writePlain(request: ArchiveRequest, path: HostPath, context: BuildContext): Promise<number> {
  const file = await open(path, 'w', 0o644);
  let size = 0;
  try {
    for await (const chunk of writeNewc(request.entries, { epoch: request.epoch })) {
      context.signal.throwIfAborted();
      await file.writeFile(chunk);
      size += chunk.length;
      context.progress(size, undefined, 'bytes');
    }
  } finally {
    await file.close();
  }
  return size;
}
