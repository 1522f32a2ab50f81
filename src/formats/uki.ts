import { MkimgError } from '../base/errors.ts';
import { paddingOf } from './newc.ts';

/** A section that is added to a stub: what is in it, or how long the file is that it comes from. */
export interface UkiSection {
  /** With its dot; at most 8 characters. */
  readonly name: string;
  readonly size: number;
}

/** Where everything of a unified kernel image stands. */
export interface UkiLayout {
  /** The stub, with the new sections in its table. */
  readonly head: Buffer;
  /** Offsets in the file, in the order of the sections. */
  readonly offsets: readonly number[];
  /** Bytes of the whole file. */
  readonly size: number;
}

const coffSize = 24;
const sectionSize = 40;
/** IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ. */
const readableData = 0x4000_0040;
/** Offsets in the optional header that PE32 and PE32+ share (PE format, "Optional Header"). */
const optional = {
  initialized: 8,
  sectionAlignment: 32,
  fileAlignment: 36,
  imageSize: 56,
  headersSize: 60,
  checkSum: 64,
};

interface PeHeader {
  readonly optionalAt: number;
  readonly countAt: number;
  readonly count: number;
  readonly tableAt: number;
}

/**
 * Lays out a unified kernel image: the stub of systemd with more sections behind those that it has (UAPI.5). The file is
 * `head`, then each section at its offset, with zeros between.
 * @throws MkimgError `bad-stub` for what is no stub, or has no room for more sections
 */
export function layOutUki(stub: Buffer, sections: readonly UkiSection[]): UkiLayout {
  const head = Buffer.from(stub);
  const pe = readHeader(head);
  const read = (at: number): number => head.readUInt32LE(pe.optionalAt + at);
  const write = (at: number, value: number): void => void head.writeUInt32LE(value, pe.optionalAt + at);
  const fileAlignment = read(optional.fileAlignment);
  const memoryAlignment = read(optional.sectionAlignment);
  const end = pe.tableAt + (pe.count + sections.length) * sectionSize;
  if (end > read(optional.headersSize)) throw badStub('it has no room for more sections');
  let position = aligned(head.length, fileAlignment);
  let address = aligned(memoryEnd(head, pe), memoryAlignment);
  const offsets: number[] = [];
  for (const [index, { name, size }] of sections.entries()) {
    const raw = aligned(size, fileAlignment);
    writeSection(head, pe.tableAt + (pe.count + index) * sectionSize, { name, size, address, raw, position });
    offsets.push(position);
    write(optional.initialized, read(optional.initialized) + raw);
    position += raw;
    address = aligned(address + size, memoryAlignment);
  }
  head.writeUInt16LE(pe.count + sections.length, pe.countAt);
  write(optional.imageSize, address);
  // Firmware does not look at it, and it would be wrong from here on.
  write(optional.checkSum, 0);
  return { head, offsets, size: position };
}

function readHeader(head: Buffer): PeHeader {
  if (head.length < 64 || head.toString('latin1', 0, 2) !== 'MZ') throw badStub('it is no EFI program');
  const start = head.readUInt32LE(0x3c);
  if (start + coffSize > head.length || head.toString('latin1', start, start + 4) !== 'PE\0\0')
    throw badStub('it is no EFI program');
  const optionalSize = head.readUInt16LE(start + 20);
  const optionalAt = start + coffSize;
  const count = head.readUInt16LE(start + 6);
  const tableAt = optionalAt + optionalSize;
  if (optionalSize < optional.checkSum + 4 || tableAt + count * sectionSize > head.length)
    throw badStub('its headers are damaged');
  return { optionalAt, countAt: start + 6, count, tableAt };
}

function memoryEnd(head: Buffer, { tableAt, count }: PeHeader): number {
  let end = 0;
  for (let index = 0; index < count; index++) {
    const at = tableAt + index * sectionSize;
    end = Math.max(end, head.readUInt32LE(at + 12) + head.readUInt32LE(at + 8));
  }
  return end;
}

interface PlacedSection extends UkiSection {
  readonly address: number;
  readonly raw: number;
  readonly position: number;
}

function writeSection(head: Buffer, at: number, section: PlacedSection): void {
  head.fill(0, at, at + sectionSize);
  head.write(section.name, at, 8, 'latin1');
  const fields = [section.size, section.address, section.raw, section.position];
  fields.forEach((value, index) => head.writeUInt32LE(value, at + 8 + 4 * index));
  head.writeUInt32LE(readableData, at + 36);
}

function aligned(value: number, alignment: number): number {
  return value + paddingOf(value, alignment);
}

function badStub(why: string): MkimgError {
  return new MkimgError('bad-stub', `The stub for unified kernel images cannot be used: ${why}.`, {
    hint: 'Install systemd-boot-efi 254 or later.',
  });
}
