import { crc32 } from 'node:zlib';
import { MkimgError } from '../base/errors.ts';
import type { ByteSource } from './bytes.ts';

/** Facts of an xz stream (The .xz File Format 1.2), from its header, index and footer; nothing is decompressed. */
export interface XzStream {
  /** Bytes from the header to the end of the footer. */
  readonly size: number;
  readonly check: 'none' | 'crc32' | 'crc64' | 'sha256' | 'other';
}

const headerMagic = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
const headerSize = 12;
const footerSize = 12;
const checks: Readonly<Record<number, XzStream['check']>> = {
  0: 'none',
  1: 'crc32',
  4: 'crc64',
  10: 'sha256',
};
const chunkSize = 1 << 20;

/**
 * Finds the end of the stream that begins at `offset`. The sizes of its blocks stand only in the index at its end, so
 * this looks for a footer whose index accounts for every byte before it.
 * @throws MkimgError `bad-xz` when no stream begins here or none of the footers fits.
 */
export function readXzStream(source: ByteSource, offset = 0): XzStream {
  const header = source.read(offset, headerSize);
  if (header.length < headerSize || !header.subarray(0, headerMagic.length).equals(headerMagic))
    throw new MkimgError('bad-xz', `no xz stream at byte ${offset}`);
  const flags = header.subarray(6, 8);
  if (crc32(flags) !== header.readUInt32LE(8))
    throw new MkimgError('bad-xz', `damaged header of the xz stream at byte ${offset}`);
  for (const end of footerEnds(source, offset + headerSize)) {
    if (!isFooter(source, { start: offset, end, flags })) continue;
    return { size: end - offset, check: checks[(flags[1] ?? 0) & 0x0f] ?? 'other' };
  }
  throw new MkimgError('bad-xz', `the xz stream at byte ${offset} has no end`);
}

/** Offsets behind each `YZ` from `start` on; everything in a stream is aligned to 4 bytes from its beginning. */
function* footerEnds(source: ByteSource, start: number): Generator<number> {
  for (let chunkStart = start; chunkStart < source.size; chunkStart += chunkSize) {
    const chunk = source.read(chunkStart, chunkSize);
    for (let at = chunk.indexOf('YZ'); at >= 0; at = chunk.indexOf('YZ', at + 2)) {
      const end = chunkStart + at + 2;
      if ((end - start) % 4 === 0) yield end;
    }
  }
}

interface Candidate {
  readonly start: number;
  readonly end: number;
  readonly flags: Buffer;
}

function isFooter(source: ByteSource, { start, end, flags }: Candidate): boolean {
  const footer = source.read(end - footerSize, footerSize);
  if (footer.length < footerSize || !footer.subarray(8, 10).equals(flags)) return false;
  if (crc32(footer.subarray(4, 10)) !== footer.readUInt32LE(0)) return false;
  const indexSize = (footer.readUInt32LE(4) + 1) * 4;
  const indexStart = end - footerSize - indexSize;
  if (indexStart < start + headerSize) return false;
  const index = source.read(indexStart, indexSize);
  if (crc32(index.subarray(0, -4)) !== index.readUInt32LE(indexSize - 4)) return false;
  return start + headerSize + blocksSize(index) === indexStart;
}

/** Sum of the sizes of all blocks, padded; NaN for an index that cannot be read. */
function blocksSize(index: Buffer): number {
  const numbers = multibyteIntegers(index);
  const indicator = numbers.next();
  if (indicator !== 0) return NaN;
  const records = numbers.next();
  let sum = 0;
  for (let record = 0; record < records && !Number.isNaN(sum); record++) {
    sum += Math.ceil(numbers.next() / 4) * 4;
    // The uncompressed size.
    numbers.next();
  }
  return sum;
}

function multibyteIntegers(data: Buffer): { next(): number } {
  let at = 0;
  return {
    next() {
      let value = 0;
      for (let factor = 1; factor <= 2 ** 56; factor *= 128) {
        const byte = data[at++];
        if (byte === undefined) return NaN;
        value += (byte & 0x7f) * factor;
        if (byte < 0x80) return value;
      }
      return NaN;
    },
  };
}
