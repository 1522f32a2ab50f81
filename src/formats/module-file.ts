import { MkimgError } from '../base/errors.ts';
import type { ByteSource } from './bytes.ts';
import { isElf } from './elf-file.ts';
import { compressionSuffixOf } from './kmod.ts';
import { readZstdFrame } from './zstd-frame.ts';

const magics = { '.xz': 'fd377a585a00', '.zst': '28b52ffd', '.gz': '1f8b' } as const;
const xzFooter = Buffer.from('YZ');

/**
 * Why a module file cannot be one, as far as its beginning and end tell: what it is compressed with, and that nothing is
 * missing. Some hundred are looked at for each kernel, so that nothing is unpacked.
 * @param path tells the compression by its suffix
 * @returns undefined where nothing is wrong
 */
export function moduleFault(path: string, source: ByteSource): string | undefined {
  if (source.size === 0) return 'it is empty';
  const suffix = compressionSuffixOf(path);
  try {
    if (suffix === undefined) return elfFault(source);
    const magic = magics[suffix];
    if (source.read(0, magic.length / 2).toString('hex') !== magic) return `it is no ${suffix.slice(1)} file`;
    if (suffix === '.zst') readZstdFrame(source);
    const isWhole = suffix !== '.xz' || source.read(source.size - 2, 2).equals(xzFooter);
    return isWhole ? undefined : 'it ends early';
  } catch (error) {
    if (error instanceof MkimgError) return error.code === 'truncated-file' ? 'it ends early' : error.message;
    throw error;
  }
}

/** Where the header of ELF files tells of the table of sections (elf(5)), by class. */
const sectionTables = {
  1: { offset: 0x20, entrySize: 0x2e, entryCount: 0x30, headerSize: 52 },
  2: { offset: 0x28, entrySize: 0x3a, entryCount: 0x3c, headerSize: 64 },
} as const;

/** The table of sections stands at the end. */
function elfFault(source: ByteSource): string | undefined {
  const header = source.read(0, 64);
  const layout = header[4] === 1 || header[4] === 2 ? sectionTables[header[4]] : undefined;
  if (!isElf(source) || layout === undefined || header.length < layout.headerSize) return 'it is no ELF file';
  const isLittle = header[5] === 1;
  const half = (at: number): number => (isLittle ? header.readUInt16LE(at) : header.readUInt16BE(at));
  const end = half(layout.entrySize) * half(layout.entryCount) + wordAt(header, layout.offset, isLittle);
  return end <= source.size ? undefined : 'it ends early';
}

function wordAt(header: Buffer, at: number, isLittle: boolean): number {
  if (header[4] === 1) return isLittle ? header.readUInt32LE(at) : header.readUInt32BE(at);
  return Number(isLittle ? header.readBigUInt64LE(at) : header.readBigUInt64BE(at));
}
