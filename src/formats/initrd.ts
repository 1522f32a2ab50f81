import { inflateRawSync } from 'node:zlib';
import { MkimgError } from '../base/errors.ts';
import type { ByteSource } from './bytes.ts';
import { readNewc, skipZeros } from './newc-reader.ts';
import { readXzStream } from './xz-stream.ts';
import { readZstdFrame } from './zstd-frame.ts';

/**
 * An initrd as init/initramfs.c unpacks it: `( NUL* ( cpio | compressed(cpio) ) )*`, where an uncompressed archive begins
 * at a multiple of 4 bytes.
 */

/** What a part is packed with; told by its first two bytes, as in lib/decompress.c. */
export type InitrdEncoding = 'none' | 'gzip' | 'bzip2' | 'lzma' | 'xz' | 'lzo' | 'lz4' | 'zstd';

/** One archive of an initrd. */
export interface InitrdSegment {
  readonly encoding: InitrdEncoding;
  readonly offset: number;
  /** Bytes in the initrd, without the zeros behind it. */
  readonly size: number;
}

/** Something that the kernel would stumble over, or silently do otherwise than meant. */
export interface InitrdFault {
  readonly severity: 'error' | 'warning';
  /** Byte in the initrd, where one can be named. */
  readonly offset?: number;
  readonly message: string;
}

export interface InitrdScan {
  readonly segments: readonly InitrdSegment[];
  readonly faults: readonly InitrdFault[];
}

const magics: readonly (readonly [encoding: InitrdEncoding, ...magics: number[]])[] = [
  ['gzip', 0x1f8b, 0x1f9e],
  ['bzip2', 0x425a],
  ['lzma', 0x5d00],
  ['xz', 0xfd37],
  ['lzo', 0x894c],
  ['lz4', 0x0221],
  ['zstd', 0x28b5],
];

/**
 * Splits an initrd into its archives without unpacking them. Reading ends at the first thing that the kernel would not
 * take, which is then the last fault.
 */
export function scanInitrd(file: ByteSource): InitrdScan {
  const source = withoutBootConfig(file);
  const segments: InitrdSegment[] = [];
  const faults: InitrdFault[] = [];
  for (let offset = skipZeros(source, 0); offset < source.size;) {
    try {
      const { size, remarks } = segmentAt(source, offset);
      const encoding = encodingAt(source, offset);
      segments.push({ encoding, offset, size });
      faults.push(...remarks.map((message) => ({ severity: 'error' as const, offset, message })));
      offset = skipZeros(source, offset + size);
    } catch (error) {
      if (!(error instanceof MkimgError)) throw error;
      faults.push({ severity: 'error', offset, message: error.message });
      break;
    }
  }
  if (segments.length === 0 && faults.length === 0)
    faults.push({ severity: 'error', message: 'the initrd is empty' });
  return { segments, faults };
}

function encodingAt(source: ByteSource, offset: number): InitrdEncoding {
  const start = source.read(offset, 2);
  if (start[0] === 0x30) return 'none';
  const magic = start.length === 2 ? start.readUInt16BE(0) : -1;
  const known = magics.find(([, ...numbers]) => numbers.includes(magic));
  if (known === undefined) throw new MkimgError('bad-initrd', strangeBeginning(source.read(offset, 4)));
  return known[0];
}

/** Forms that programs make when nobody tells them of the kernel. */
function strangeBeginning(bytes: Buffer): string {
  const magic = bytes.length === 4 ? bytes.readUInt32LE(0) : 0;
  if (magic === 0x184d2204) return "an LZ4 frame; the kernel takes only the older form (lz4's option -l)";
  if (magic >>> 4 === 0x184d2a5)
    return 'a skippable Zstandard frame, as of pzstd; the kernel does not skip it';
  return 'neither a newc archive nor compressed data';
}

/**
 * A boot configuration that is appended to an initrd (Documentation/admin-guide/bootconfig.rst), which the kernel cuts off
 * before it unpacks the rest: the text, padded, its size and the sum of its bytes, and a word at the very end.
 */
function withoutBootConfig(file: ByteSource): ByteSource {
  if (file.size < bootConfigFooter) return file;
  const footer = file.read(file.size - bootConfigFooter, bootConfigFooter);
  if (!footer.subarray(8).equals(bootConfigMagic)) return file;
  const [size, sum] = [footer.readUInt32LE(0), footer.readUInt32LE(4)];
  const start = file.size - bootConfigFooter - size;
  if (start < 0 || sumOf(file.read(start, size)) !== sum) return file;
  return { size: start, read: (offset, length) => file.read(offset, Math.min(length, start - offset)) };
}

const bootConfigMagic = Buffer.from('#BOOTCONFIG\n');
const bootConfigFooter = 8 + bootConfigMagic.length;

/** As the kernel sums up bytes, in 32 bits. */
export function sumOf(data: Buffer): number {
  let sum = 0;
  for (const byte of data) sum = (sum + byte) >>> 0;
  return sum;
}

interface Extent {
  readonly size: number;
  /** Why the kernel would not unpack it although it is well-formed. */
  readonly remarks: readonly string[];
}

function segmentAt(source: ByteSource, offset: number): Extent {
  const encoding = encodingAt(source, offset);
  switch (encoding) {
    case 'none':
      return { size: archiveEnd(source, offset) - offset, remarks: [] };
    case 'zstd':
      return zstdExtent(source, offset);
    case 'xz':
      return xzExtent(source, offset);
    case 'gzip':
      return { size: gzipSize(source, offset), remarks: [] };
    case 'lz4':
      return { size: lz4Size(source, offset), remarks: [] };
    case 'bzip2':
    case 'lzma':
    case 'lzo':
      // Their ends show only when they are unpacked; nobody appends to them.
      return { size: source.size - offset, remarks: [] };
  }
}

function archiveEnd(source: ByteSource, offset: number): number {
  if (offset % 4 !== 0)
    throw new MkimgError('bad-initrd', 'an uncompressed archive must begin at a multiple of 4 bytes');
  const members = readNewc(source, offset, 'kernel');
  for (;;) {
    const step = members.next();
    if (step.done === true) return step.value;
  }
}

/** Windows above this need more memory than the kernel's decompressor takes (ZSTD_WINDOWSIZE_MAX in decompress_unzstd.c). */
const maximumWindow = 128 << 20;

function zstdExtent(source: ByteSource, offset: number): Extent {
  const frame = readZstdFrame(source, offset);
  const remarks = [
    ...(frame.hasDictionary ? ['the Zstandard frame needs a dictionary, which the kernel has not'] : []),
    ...(frame.windowSize > maximumWindow ? ['the Zstandard frame needs a window of more than 128 MiB'] : []),
  ];
  return { size: frame.size, remarks };
}

function xzExtent(source: ByteSource, offset: number): Extent {
  const { size, check } = readXzStream(source, offset);
  const supported = check === 'none' || check === 'crc32';
  return {
    size,
    remarks: supported ? [] : [`the xz stream has a ${check} check; the kernel takes only crc32 or none`],
  };
}

/** No initrd unpacks to more: it would not fit beside its system. */
const inflateOptions = { info: true, maxOutputLength: 2 ** 30 };

/** RFC 1952: the member's header, deflated data, CRC and size. */
function gzipSize(source: ByteSource, offset: number): number {
  const data = source.read(offset, source.size - offset);
  const header = gzipHeaderSize(data);
  try {
    // The option makes it answer with the engine, which counts what it read; the types do not know.
    const { engine } = inflateRawSync(data.subarray(header), inflateOptions) as unknown as {
      readonly engine: { readonly bytesWritten: number };
    };
    const size = header + engine.bytesWritten + 8;
    if (size <= data.length) return size;
  } catch (error) {
    throw new MkimgError('bad-initrd', 'damaged or far too much gzip data', { cause: error });
  }
  throw new MkimgError('truncated-file', 'the gzip data ends early');
}

function gzipHeaderSize(data: Buffer): number {
  const flags = data[3] ?? 0;
  let at = 10;
  if ((flags & 4) !== 0) at += 2 + (data.length >= at + 2 ? data.readUInt16LE(at) : 0);
  for (const flag of [8, 16]) {
    if ((flags & flag) === 0) continue;
    const end = data.indexOf(0, at);
    at = end < 0 ? data.length : end + 1;
  }
  return (flags & 2) !== 0 ? at + 2 : at;
}

/** The legacy format (lz4_Frame_format.md): blocks with their sizes until the data ends or something else begins. */
function lz4Size(source: ByteSource, offset: number): number {
  const blockContent = 8 << 20;
  const maximumBlock = blockContent + Math.ceil(blockContent / 255) + 16;
  let end = offset + 4;
  for (;;) {
    const word = source.read(end, 4);
    if (word.length < 4) return source.size - offset;
    const size = word.readUInt32LE(0);
    if (size === 0 || size > maximumBlock) return end - offset;
    end += 4 + size;
    if (end > source.size) throw new MkimgError('truncated-file', 'the lz4 data ends early');
  }
}
