import { MkimgError } from '../base/errors.ts';
import type { ByteSource } from './bytes.ts';
import { paddingOf } from './newc.ts';

/** One member of an archive, as its header says. */
export interface NewcMember {
  readonly path: Buffer;
  readonly inode: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly mtime: number;
  readonly size: number;
  readonly device: { readonly major: number; readonly minor: number };
  /** Of the variant with checksums (070702): the sum of the bytes of the data. */
  readonly checksum?: number;
  /** Where the header begins. */
  readonly offset: number;
  /** Where the data begins. */
  readonly dataOffset: number;
}

const headerSize = 110;
const maximumNameSize = 4096;

/**
 * How much of the format must hold. `strict` is what mkimg writes: every field, zero padding, a trailer. `kernel` is all
 * that init/initramfs.c asks for: an archive may end without a trailer, names may be padded with NULs, other padding
 * may hold anything, and the variant with checksums (070702) is read too.
 */
export type NewcRules = 'strict' | 'kernel';

/**
 * Reads a `newc` archive that begins at `start`, whose headers must be aligned to 4 bytes from the beginning of the source.
 * Returns the offset behind the trailer.
 * @throws MkimgError `bad-archive` with the offset of the fault.
 */
export function* readNewc(
  source: ByteSource,
  start = 0,
  rules: NewcRules = 'strict',
): Generator<NewcMember, number> {
  let offset = start;
  for (;;) {
    if (rules === 'kernel' && offset >= source.size) return source.size;
    const member = readMember(source, offset, rules);
    const end = member.dataOffset + member.size;
    if (rules === 'strict') checkZeros(source, end, paddingOf(end, 4));
    if (member.path.equals(trailerName)) {
      if (member.size !== 0) throw badArchive(offset, 'trailer with data');
      return end;
    }
    yield member;
    offset = end + paddingOf(end, 4);
  }
}

/** Data of a member. */
export function memberData(source: ByteSource, member: NewcMember): Buffer {
  return source.read(member.dataOffset, member.size);
}

/**
 * The members of all archives that stand one after the other, with zeros between them, in what a part of an initrd unpacks to.
 * @throws MkimgError `bad-archive`
 */
export function* readArchives(
  source: ByteSource,
  start = 0,
): Generator<NewcMember & { readonly archive: number }> {
  let offset = start;
  for (let archive = 0; offset < source.size; archive += 1) {
    const members = readNewc(source, offset, 'kernel');
    for (let step = members.next(); ; step = members.next()) {
      if (step.done === true) {
        offset = skipZeros(source, step.value);
        break;
      }
      yield { ...step.value, archive };
    }
  }
}

/** Where the next byte that is not zero stands; the end of the source where there is none. */
export function skipZeros(source: ByteSource, start: number): number {
  const chunkSize = 4096;
  for (let offset = start; ; offset += chunkSize) {
    const chunk = source.read(offset, chunkSize);
    const nonZero = chunk.findIndex((byte) => byte !== 0);
    if (nonZero >= 0) return offset + nonZero;
    if (chunk.length < chunkSize) return source.size;
  }
}

/** True when an uncompressed `newc` archive begins here. */
export function isNewc(source: ByteSource, offset = 0): boolean {
  return source.read(offset, 6).equals(magic);
}

const trailerName = Buffer.from('TRAILER!!!');
const magic = Buffer.from('070701');
const magicWithChecksum = '070702';

function readMember(source: ByteSource, offset: number, rules: NewcRules): NewcMember {
  if (offset % 4 !== 0) throw badArchive(offset, 'header is not aligned to 4 bytes');
  const header = source.read(offset, headerSize).toString('latin1');
  if (header.length < headerSize) throw badArchive(offset, 'archive ends in the middle of a header');
  const known = header.startsWith('070701') || (rules === 'kernel' && header.startsWith(magicWithChecksum));
  if (header.startsWith('070707'))
    throw badArchive(
      offset,
      'this is the old form, which the kernel does not take (cpio -H newc makes the right one)',
    );
  if (!known) throw badArchive(offset, 'no newc header');
  if (!/^[0-9a-fA-F]{104}$/.test(header.slice(6)))
    throw badArchive(offset, 'header field is not hexadecimal');
  const field = (index: number): number => Number.parseInt(header.slice(6 + index * 8, 14 + index * 8), 16);
  const nameSize = field(11);
  const size = field(6);
  const nameOffset = offset + headerSize;
  const dataOffset = nameOffset + nameSize + paddingOf(headerSize + nameSize, 4);
  if (nameSize < 2 || nameSize > maximumNameSize) throw badArchive(offset, `name of ${nameSize} bytes`);
  if (dataOffset + size > source.size) throw badArchive(offset, 'member reaches over the end of the file');
  const path = readName(source, { offset, nameOffset, nameSize, dataOffset }, rules);
  return {
    path,
    ...{
      inode: field(0),
      mode: field(1),
      uid: field(2),
      gid: field(3),
      nlink: field(4),
      mtime: field(5),
      size,
    },
    device: { major: field(9), minor: field(10) },
    ...(header.startsWith(magicWithChecksum) ? { checksum: field(12) } : {}),
    ...{ offset, dataOffset },
  };
}

interface NamePlace {
  readonly offset: number;
  readonly nameOffset: number;
  readonly nameSize: number;
  readonly dataOffset: number;
}

function readName(source: ByteSource, place: NamePlace, rules: NewcRules): Buffer {
  const { offset, nameOffset, nameSize, dataOffset } = place;
  const name = source.read(nameOffset, nameSize);
  const end = name.indexOf(0);
  if (end < 0) throw badArchive(offset, 'name does not end with a NUL');
  if (rules === 'strict') {
    if (end !== nameSize - 1) throw badArchive(offset, 'name does not end with its only NUL');
    checkZeros(source, nameOffset + nameSize, dataOffset - nameOffset - nameSize);
  }
  return Buffer.from(name.subarray(0, end));
}

function checkZeros(source: ByteSource, offset: number, length: number): void {
  if (source.read(offset, length).some((byte) => byte !== 0)) throw badArchive(offset, 'padding is not zero');
}

function badArchive(offset: number, fault: string): MkimgError {
  return new MkimgError('bad-archive', `CPIO archive: ${fault} at byte ${offset}`);
}
