import { MkimgError } from '../base/errors.ts';

/** Where the fields of section headers stand (elf(5)); 32-bit and 64-bit files differ. */
interface Layout {
  readonly sectionTable: number;
  readonly entrySize: number;
  readonly entryCount: number;
  readonly namesIndex: number;
  readonly offset: number;
  readonly size: number;
  readonly word: 4 | 8;
}

const layout32: Layout = {
  ...{ sectionTable: 0x20, entrySize: 0x2e, entryCount: 0x30, namesIndex: 0x32 },
  ...{ offset: 0x10, size: 0x14, word: 4 },
};
const layout64: Layout = {
  ...{ sectionTable: 0x28, entrySize: 0x3a, entryCount: 0x3c, namesIndex: 0x3e },
  ...{ offset: 0x18, size: 0x20, word: 8 },
};

/**
 * Content of a section of an ELF file; undefined when there is none of this name.
 * @throws MkimgError `bad-elf` when this is no ELF file or its headers point outside it.
 */
export function elfSection(file: Buffer, name: string): Buffer | undefined {
  if (file.length < 52 || file.toString('latin1', 0, 4) !== '\x7fELF')
    throw new MkimgError('bad-elf', 'not an ELF file');
  const layout = file[4] === 2 ? layout64 : layout32;
  const littleEndian = file[5] === 1;
  const half = (at: number): number => (littleEndian ? file.readUInt16LE(at) : file.readUInt16BE(at));
  const word = (at: number): number => (littleEndian ? file.readUInt32LE(at) : file.readUInt32BE(at));
  const address = (at: number): number => {
    if (layout.word === 4) return word(at);
    return Number(littleEndian ? file.readBigUInt64LE(at) : file.readBigUInt64BE(at));
  };
  try {
    const table = address(layout.sectionTable);
    const headerAt = (index: number): number => table + index * half(layout.entrySize);
    const content = (header: number): Buffer =>
      slice(file, address(header + layout.offset), address(header + layout.size));
    const names = content(headerAt(half(layout.namesIndex)));
    for (let index = 0; index < half(layout.entryCount); index++) {
      const header = headerAt(index);
      if (textAt(names, word(header)) === name) return content(header);
    }
    return undefined;
  } catch (error) {
    if (error instanceof RangeError) throw new MkimgError('bad-elf', 'ELF headers point outside the file');
    throw error;
  }
}

function slice(file: Buffer, offset: number, size: number): Buffer {
  if (offset + size > file.length) throw new RangeError('section reaches over the end');
  return file.subarray(offset, offset + size);
}

function textAt(names: Buffer, offset: number): string {
  const end = names.indexOf(0, offset);
  return names.toString('latin1', offset, end < 0 ? names.length : end);
}
