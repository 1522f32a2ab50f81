import { MkimgError } from '../base/errors.ts';
import type { ByteSource } from './bytes.ts';
import { readExactly } from './bytes.ts';

/** Facts of a Zstandard frame, from its headers alone (RFC 8878); nothing is decompressed. */
export interface ZstdFrame {
  /** Bytes from the magic number to the end of the last block and checksum. */
  readonly size: number;
  /** Bytes of history that a decompressor must keep. */
  readonly windowSize: number;
  /** Bytes of content, where the frame says so. The kernel needs this of firmware files. */
  readonly contentSize: number | undefined;
  readonly hasDictionary: boolean;
}

const magic = 0xfd2fb528;
const headerMaximum = 18;

/**
 * Walks the headers of the frame that begins at `offset`.
 * @throws MkimgError `bad-zstd` for what is no frame, skippable frames included; `truncated-file`.
 */
export function readZstdFrame(source: ByteSource, offset = 0): ZstdFrame {
  const header = source.read(offset, headerMaximum);
  if (header.length < 6 || header.readUInt32LE(0) !== magic)
    throw new MkimgError('bad-zstd', `no Zstandard frame at byte ${offset}`);
  const { headerSize, hasChecksum, ...facts } = frameHeader(header, offset);
  let end = offset + headerSize;
  for (let last = false; !last;) {
    const block = readExactly(source, end, 3).readUIntLE(0, 3);
    last = (block & 1) === 1;
    end += 3 + blockSize(block, end);
  }
  end += hasChecksum ? 4 : 0;
  if (end > source.size)
    throw new MkimgError('truncated-file', `Zstandard frame at byte ${offset} ends early`);
  return { size: end - offset, ...facts };
}

function blockSize(block: number, offset: number): number {
  const size = block >>> 3;
  const runLength = 1;
  switch ((block >>> 1) & 3) {
    case 1:
      return runLength;
    case 3:
      throw new MkimgError('bad-zstd', `reserved block type at byte ${offset}`);
    default:
      return size;
  }
}

interface FrameHeader extends Omit<ZstdFrame, 'size'> {
  readonly headerSize: number;
  readonly hasChecksum: boolean;
}

function frameHeader(header: Buffer, offset: number): FrameHeader {
  const descriptor = header.readUInt8(4);
  const singleSegment = (descriptor & 0x20) !== 0;
  const dictionarySize = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const contentFlag = descriptor >>> 6;
  const contentFieldSize = contentFlag === 0 ? (singleSegment ? 1 : 0) : 1 << contentFlag;
  const windowAt = 5;
  const dictionaryAt = windowAt + (singleSegment ? 0 : 1);
  const contentAt = dictionaryAt + dictionarySize;
  const headerSize = contentAt + contentFieldSize;
  if (header.length < headerSize)
    throw new MkimgError('truncated-file', `Zstandard frame at byte ${offset} ends early`);
  const contentSize = contentFieldSize === 0 ? undefined : contentSizeOf(header, contentAt, contentFieldSize);
  return {
    headerSize,
    hasChecksum: (descriptor & 4) !== 0,
    windowSize: singleSegment ? (contentSize ?? 0) : windowSizeOf(header.readUInt8(windowAt)),
    contentSize,
    hasDictionary: dictionarySize > 0 && header.subarray(dictionaryAt, contentAt).some((byte) => byte !== 0),
  };
}

function contentSizeOf(header: Buffer, at: number, size: number): number {
  if (size === 8) return Number(header.readBigUInt64LE(at));
  // Two bytes count from 256 on: smaller sizes fit into one.
  return header.readUIntLE(at, size) + (size === 2 ? 256 : 0);
}

function windowSizeOf(byte: number): number {
  const base = 2 ** (10 + (byte >>> 3));
  return base + (base / 8) * (byte & 7);
}
