import { MkimgError } from '../base/errors.ts';
import { bufferSource, readExactly } from './bytes.ts';
import type { Lzma2Decoder } from './lzma2.ts';
import { lzma2Decoder } from './lzma2.ts';

const streamHeaderSize = 12;
const streamMagic = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
const lzma2FilterId = 0x21;
const flag = { filters: 0x03, packedSize: 0x40, unpackedSize: 0x80 } as const;

/**
 * Unpacks from the beginning of an xz file (The .xz File Format 1.2), as far as asked, at most to the end of its first
 * block. Checksums are not looked at.
 * @throws MkimgError `bad-xz` for what is no xz file, and for filters besides LZMA2: files of kernels have none.
 */
export function openXzBlock(file: Buffer): Lzma2Decoder {
  const source = bufferSource(file);
  const header = readExactly(source, 0, streamHeaderSize + 2);
  if (!header.subarray(0, streamMagic.length).equals(streamMagic))
    throw new MkimgError('bad-xz', 'not an xz file');
  const size = (header.readUInt8(streamHeaderSize) + 1) * 4;
  const flags = header.readUInt8(streamHeaderSize + 1);
  const block = readExactly(source, streamHeaderSize, size);
  let at = 2;
  if ((flags & flag.packedSize) !== 0) at = afterNumber(block, at);
  if ((flags & flag.unpackedSize) !== 0) at = afterNumber(block, at);
  if ((flags & flag.filters) !== 0 || block[at] !== lzma2FilterId)
    throw new MkimgError('bad-xz', 'it is compressed with a filter besides LZMA2');
  return lzma2Decoder(file, streamHeaderSize + size);
}

/** Numbers have 7 bits in each byte, the last one without the eighth. */
function afterNumber(block: Buffer, start: number): number {
  let at = start;
  while (((block[at] ?? 0) & 0x80) !== 0) at++;
  return at + 1;
}
