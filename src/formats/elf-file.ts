import { MkimgError } from '../base/errors.ts';
import type { ByteSource } from './bytes.ts';
import { readExactly } from './bytes.ts';

/** Where the fields of ELF and program headers stand (elf(5)); 32-bit and 64-bit files differ. */
interface Layout {
  readonly header: number;
  readonly programTable: number;
  readonly entrySize: number;
  readonly entryCount: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
  readonly word: 4 | 8;
}

const layouts: Readonly<Record<number, Layout>> = {
  1: {
    ...{ header: 52, programTable: 0x1c, entrySize: 0x2a, entryCount: 0x2c },
    ...{ offset: 0x04, address: 0x08, fileSize: 0x10, word: 4 },
  },
  2: {
    ...{ header: 64, programTable: 0x20, entrySize: 0x36, entryCount: 0x38 },
    ...{ offset: 0x08, address: 0x10, fileSize: 0x20, word: 8 },
  },
};

const segmentTypes = { load: 1, dynamic: 2, note: 4 } as const;
const dynamicTags = {
  needed: 1,
  stringTable: 5,
  soname: 14,
  rpath: 15,
  stringSize: 10,
  runpath: 29,
} as const;

/** Most bytes of one segment of notes, or of the dynamic section or its names: real ones have some kilobytes. */
const sizeLimit = 4 << 20;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

export interface ElfNote {
  readonly owner: string;
  readonly type: number;
  readonly content: Buffer;
}

/** What the loader reads of a file. */
export interface ElfDynamic {
  /** Libraries that it is linked to. */
  readonly needed: readonly string[];
  readonly soname: string | undefined;
  /** Directories of DT_RUNPATH, else of DT_RPATH, as written: `$ORIGIN` is the file's own directory. */
  readonly runpath: readonly string[];
}

/** An ELF file as it is loaded: by its program headers, which stripping leaves alone. */
export interface ElfFile {
  /** Files of different machines cannot be loaded together: class, byte order and e_machine. */
  readonly machine: string;
  notes(): ElfNote[];
  /** undefined for files that are not linked to anything. */
  dynamic(): ElfDynamic | undefined;
}

/** Whether a file begins like an ELF file. */
export function isElf(source: ByteSource): boolean {
  return source.read(0, 4).toString('latin1') === '\x7fELF';
}

/**
 * Opens an ELF file of either class and byte order.
 * @throws MkimgError `bad-elf` when this is none, or its headers lead out of it
 */
export function openElf(source: ByteSource): ElfFile {
  const identity = source.read(0, 20);
  const layout = layouts[identity[4] ?? 0];
  const order = identity[5];
  if (!isElf(source) || identity.length < 20 || layout === undefined || (order !== 1 && order !== 2)) {
    throw new MkimgError('bad-elf', 'not an ELF file');
  }
  const reader = new Reader(source, order === 1);
  const segments = checked(() => programHeaders(reader, layout));
  return {
    machine: `${identity[4]}-${order}-${reader.half(identity, 18)}`,
    notes: () => checked(() => ofType(segments, 'note').flatMap((segment) => readNotes(reader, segment))),
    dynamic: () => checked(() => readDynamic(reader, segments, layout)),
  };
}

function checked<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    const isOutside =
      error instanceof RangeError || (error instanceof MkimgError && error.code === 'truncated-file');
    if (isOutside) throw new MkimgError('bad-elf', 'ELF headers point outside the file', { cause: error });
    throw error;
  }
}

class Reader {
  readonly #source: ByteSource;
  readonly #littleEndian: boolean;

  constructor(source: ByteSource, littleEndian: boolean) {
    this.#source = source;
    this.#littleEndian = littleEndian;
  }

  bytes(offset: number, length: number): Buffer {
    if (!Number.isSafeInteger(offset) || length > sizeLimit) throw new RangeError('implausible size');
    return readExactly(this.#source, offset, length);
  }

  half(bytes: Buffer, at: number): number {
    return this.#littleEndian ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
  }

  word(bytes: Buffer, at: number): number {
    return this.#littleEndian ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
  }

  /** An address or size of the file's class. */
  wide(bytes: Buffer, at: number, size: 4 | 8): number {
    if (size === 4) return this.word(bytes, at);
    return Number(this.#littleEndian ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
  }
}

function programHeaders(reader: Reader, layout: Layout): Segment[] {
  const header = reader.bytes(0, layout.header);
  const table = reader.wide(header, layout.programTable, layout.word);
  const size = reader.half(header, layout.entrySize);
  const count = reader.half(header, layout.entryCount);
  if (count === 0) return [];
  const entries = reader.bytes(table, size * count);
  return Array.from({ length: count }, (_, index) => {
    const entry = entries.subarray(index * size, (index + 1) * size);
    const field = (at: number): number => reader.wide(entry, at, layout.word);
    return {
      type: reader.word(entry, 0),
      ...{ offset: field(layout.offset), address: field(layout.address), size: field(layout.fileSize) },
    };
  });
}

function ofType(segments: readonly Segment[], type: keyof typeof segmentTypes): Segment[] {
  return segments.filter((segment) => segment.type === segmentTypes[type]);
}

/** Name and content are padded to words: systemd's notes and GNU's are, whatever the class. */
function readNotes(reader: Reader, { offset, size }: Segment): ElfNote[] {
  const bytes = reader.bytes(offset, size);
  const notes: ElfNote[] = [];
  for (let at = 0; at + 12 <= bytes.length;) {
    const [nameSize, contentSize] = [reader.word(bytes, at), reader.word(bytes, at + 4)];
    const content = at + 12 + padded(nameSize);
    if (content + contentSize > bytes.length) break;
    notes.push({
      owner: textAt(bytes.subarray(0, content), at + 12),
      type: reader.word(bytes, at + 8),
      content: bytes.subarray(content, content + contentSize),
    });
    at = content + padded(contentSize);
  }
  return notes;
}

function padded(size: number): number {
  return Math.ceil(size / 4) * 4;
}

function readDynamic(reader: Reader, segments: readonly Segment[], { word }: Layout): ElfDynamic | undefined {
  const [segment] = ofType(segments, 'dynamic');
  if (segment === undefined) return undefined;
  const bytes = reader.bytes(segment.offset, segment.size);
  const entries: (readonly [tag: number, value: number])[] = [];
  for (let at = 0; at + 2 * word <= bytes.length; at += 2 * word) {
    const tag = reader.wide(bytes, at, word);
    if (tag === 0) break;
    entries.push([tag, reader.wide(bytes, at + word, word)]);
  }
  const values = (name: keyof typeof dynamicTags): number[] =>
    entries.flatMap(([tag, value]) => (tag === dynamicTags[name] ? [value] : []));
  const names = stringTable(reader, segments, {
    address: values('stringTable')[0],
    size: values('stringSize')[0],
  });
  const texts = (name: 'needed' | 'soname' | 'rpath' | 'runpath'): string[] =>
    values(name).map((value) => textAt(names, value));
  const runpath = texts('runpath').length > 0 ? texts('runpath') : texts('rpath');
  return {
    needed: texts('needed'),
    soname: texts('soname')[0],
    runpath: runpath.flatMap((path) => path.split(':')).filter((path) => path !== ''),
  };
}

/** The dynamic section names it by its address in memory. */
function stringTable(
  reader: Reader,
  segments: readonly Segment[],
  { address = 0, size = 0 }: { readonly address: number | undefined; readonly size: number | undefined },
): Buffer {
  const holder = ofType(segments, 'load').find(
    (segment) => address >= segment.address && address < segment.address + segment.size,
  );
  if (holder === undefined) return Buffer.alloc(0);
  return reader.bytes(holder.offset + (address - holder.address), size);
}

function textAt(bytes: Buffer, offset: number): string {
  if (offset >= bytes.length) return '';
  const end = bytes.indexOf(0, offset);
  return bytes.toString('utf8', offset, end < 0 ? bytes.length : end);
}
