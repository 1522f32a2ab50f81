import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { open, stat } from 'node:fs/promises';
import type { HostPath } from '../base/brand.ts';
import { paddingOf } from '../formats/newc.ts';
import type { Segment } from './segment-cache.ts';
import { damagedSegment } from './segment-cache.ts';

/** Where an uncompressed archive may begin, after a compressed one too (init/initramfs.c). */
const alignment = 4;

/** Where each segment begins in the initrd, and how long the whole is. */
export function layOut(sizes: readonly number[]): {
  readonly offsets: readonly number[];
  readonly size: number;
} {
  const offsets: number[] = [];
  let end = 0;
  for (const size of sizes) {
    const start = end + paddingOf(end, alignment);
    offsets.push(start);
    end = start + size;
  }
  return { offsets, size: end };
}

/**
 * Writes segments one after the other into a new file that only its owner may read, and waits until it is on the disk.
 * @throws MkimgError `bad-segment` when one is not what it was when it was made
 */
export async function joinSegments(segments: readonly Segment[], target: HostPath): Promise<number> {
  const { offsets, size } = layOut(segments.map(({ bytes }) => bytes));
  await using output = await open(target, 'wx', 0o600);
  for (const [index, segment] of segments.entries()) {
    if ((await copyTo(output, segment.path, offsets[index] ?? 0)) !== segment.sha256)
      throw damagedSegment(segment.path);
  }
  await output.sync();
  return size;
}

/** Writes files one after the other into a new file, as boot loaders do with several initrds. */
export async function joinFiles(files: readonly HostPath[], target: HostPath): Promise<void> {
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  const { offsets } = layOut(sizes);
  await using output = await open(target, 'wx', 0o600);
  for (const [index, file] of files.entries()) await copyTo(output, file, offsets[index] ?? 0);
}

/** Returns the SHA-256 of what it has copied. */
async function copyTo(output: FileHandle, file: HostPath, offset: number): Promise<string> {
  await using input = await open(file, 'r');
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(1 << 20);
  for (let position = offset; ;) {
    const { bytesRead } = await input.read(buffer, 0, buffer.length, null);
    if (bytesRead === 0) return hash.digest('hex');
    hash.update(buffer.subarray(0, bytesRead));
    await writeFully(output, buffer.subarray(0, bytesRead), position);
    position += bytesRead;
  }
}

async function writeFully(output: FileHandle, data: Buffer, position: number): Promise<void> {
  for (let done = 0; done < data.length;) {
    const { bytesWritten } = await output.write(data, done, data.length - done, position + done);
    done += bytesWritten;
  }
}
