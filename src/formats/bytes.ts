import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { MkimgError } from '../base/errors.ts';

/** Random access to a file's bytes, so that a reader of headers need not load the whole file. */
export interface ByteSource {
  readonly size: number;
  /** Bytes from `offset`; fewer than `length` only where the file ends. */
  read(offset: number, length: number): Buffer;
}

export function bufferSource(data: Uint8Array): ByteSource {
  const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return { size: buffer.length, read: (offset, length) => buffer.subarray(offset, offset + length) };
}

/** Opens a file for random access; closed at the end of its scope (`using`). */
export function openSource(path: string | Buffer): ByteSource & Disposable {
  const descriptor = openSync(path, 'r');
  const { size } = fstatSync(descriptor);
  return {
    size,
    read(offset, length) {
      const wanted = Math.max(0, Math.min(length, size - offset));
      const buffer = Buffer.allocUnsafe(wanted);
      let done = 0;
      while (done < wanted) {
        const count = readSync(descriptor, buffer, done, wanted - done, offset + done);
        if (count === 0) break;
        done += count;
      }
      return buffer.subarray(0, done);
    },
    [Symbol.dispose]: () => closeSync(descriptor),
  };
}

/**
 * Exactly `length` bytes.
 * @throws MkimgError `truncated-file` when the file ends before.
 */
export function readExactly(source: ByteSource, offset: number, length: number): Buffer {
  const bytes = source.read(offset, length);
  if (bytes.length !== length)
    throw new MkimgError(
      'truncated-file',
      `file ends at byte ${source.size}, ${offset + length} were expected`,
    );
  return bytes;
}
