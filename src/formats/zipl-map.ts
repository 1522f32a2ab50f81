import { MkimgError } from '../base/errors.ts';
import type { ByteSource } from './bytes.ts';
import { readExactly } from './bytes.ts';

/*
 * The boot map of a mainframe's disk in the SCSI scheme, as zipl of s390-tools writes it and QEMU's s390-ccw loader reads it
 * (pc-bios/s390-ccw/bootmap.h): the boot record in sector 0 points to a table of programs, that to the components of each,
 * those to lists of blocks. All numbers are big-endian, all pointers are sectors of 512 bytes. The record takes the first 32
 * bytes of the sector, where a protective MBR has room for boot code.
 */

export const sectorBytes = 512;
/** Bytes of sector 0 that belong to the boot record. */
export const bootRecordBytes = 32;

const magic = Buffer.from('zIPL');
const pointerBytes = 16;
const componentBytes = 32;
/** The count of a pointer has 16 bits and is one less than the number of sectors. */
const longestRun = 0x10000;
/** Data pointers in a sector of a block list: the last place is for the pointer to the next such sector. */
const runsInList = sectorBytes / pointerBytes - 1;
const componentsInTable = sectorBytes / componentBytes - 1;
const componentLoad = 2;
const componentExecute = 1;
/** No list is longer: it would load more than 64 GiB. */
const longestList = 4096;

/** Sectors that follow each other. */
export interface SectorRun {
  readonly sector: number;
  readonly sectors: number;
}

/** A part of the program. */
export interface Segment extends SectorRun {
  /** Where in memory it is loaded to. */
  readonly address: bigint;
}

/** What the loader does: loads the segments, then begins at the program status word. */
export interface ZiplProgram {
  readonly segments: readonly Segment[];
  /** Program status word in the short format of 64 bits. */
  readonly start: bigint;
}

/** Sectors that the tables of a program take, in front of what they point to. */
export function tableSectors(segments: readonly Pick<SectorRun, 'sectors'>[]): number {
  return 2 + segments.reduce((sum, { sectors }) => sum + listSectors(sectors), 0);
}

function listSectors(sectors: number): number {
  return Math.max(1, Math.ceil(Math.ceil(sectors / longestRun) / runsInList));
}

/**
 * The boot record for sector 0 and the tables, which go to `sector` and after it.
 * @throws Error (internal) for more segments than a table holds
 */
export function ziplMap(
  program: ZiplProgram,
  sector: number,
): { readonly bootRecord: Buffer; readonly tables: Buffer } {
  if (program.segments.length + 1 > componentsInTable) throw new Error('internal: too many segments to load');
  const tables = Buffer.alloc(tableSectors(program.segments) * sectorBytes);
  const programTable = tables.subarray(0, sectorBytes);
  magic.copy(programTable);
  putPointer(programTable, 16, { sector: sector + 1, sectors: 1 });
  const components = tables.subarray(sectorBytes, 2 * sectorBytes);
  magic.copy(components);
  let next = 2;
  for (const [index, segment] of program.segments.entries()) {
    const at = (index + 1) * componentBytes;
    putPointer(components, at, { sector: sector + next, sectors: 1 });
    components[at + 23] = componentLoad;
    components.writeBigUInt64BE(segment.address, at + 24);
    next += putList(tables, { at: next, sector, run: segment });
  }
  const last = (program.segments.length + 1) * componentBytes;
  components[last + 23] = componentExecute;
  components.writeBigUInt64BE(program.start, last + 24);
  const bootRecord = Buffer.alloc(bootRecordBytes);
  magic.copy(bootRecord);
  bootRecord.writeUInt32BE(1, 4);
  putPointer(bootRecord, 16, { sector, sectors: 1 });
  return { bootRecord, tables };
}

interface ListPlace {
  /** Sector of the list within the tables. */
  readonly at: number;
  /** First sector of the tables on the disk. */
  readonly sector: number;
  readonly run: SectorRun;
}

/** Writes the block list of a run; returns the number of its sectors. */
function putList(tables: Buffer, { at, sector, run }: ListPlace): number {
  const count = listSectors(run.sectors);
  let done = 0;
  for (let list = 0; list < count; list += 1) {
    const begin = (at + list) * sectorBytes;
    for (let index = 0; index < runsInList && done < run.sectors; index += 1) {
      const sectors = Math.min(longestRun, run.sectors - done);
      putPointer(tables, begin + index * pointerBytes, { sector: run.sector + done, sectors });
      done += sectors;
    }
    // A pointer to one sector in the last place is not loaded but goes on with the list.
    if (list + 1 < count) {
      putPointer(tables, begin + runsInList * pointerBytes, { sector: sector + at + list + 1, sectors: 1 });
    }
  }
  return count;
}

function putPointer(buffer: Buffer, offset: number, { sector, sectors }: SectorRun): void {
  buffer.writeBigUInt64BE(BigInt(sector), offset);
  buffer.writeUInt16BE(sectorBytes, offset + 8);
  buffer.writeUInt16BE(sectors - 1, offset + 10);
}

/** A program as it is found on a disk: a segment can be in several places. */
export interface FoundProgram {
  readonly segments: readonly { readonly address: bigint; readonly runs: readonly SectorRun[] }[];
  readonly start: bigint;
}

/** The disk begins with such a boot record. */
export function hasZiplMap(disk: ByteSource): boolean {
  return disk.read(0, magic.length).equals(magic);
}

/**
 * Reads the program that a disk boots by default, by the loader's rules.
 * @throws MkimgError `bad-boot-map` for anything else than such a map, `truncated-file` where it points beyond the disk.
 */
export function readZiplMap(disk: ByteSource): FoundProgram {
  const record = readExactly(disk, 0, bootRecordBytes);
  checkMagic(record, 'boot record');
  const programs = sectorAt(disk, pointerAt(record, 16));
  checkMagic(programs, 'program table');
  const components = sectorAt(disk, pointerAt(programs, 16));
  checkMagic(components, 'component table');
  const segments: { address: bigint; runs: readonly SectorRun[] }[] = [];
  for (let index = 1; index <= componentsInTable; index += 1) {
    const at = index * componentBytes;
    const value = components.readBigUInt64BE(at + 24);
    switch (components[at + 23]) {
      case componentLoad:
        segments.push({ address: value, runs: readList(disk, pointerAt(components, at)) });
        break;
      case componentExecute:
        return { segments, start: value };
      default:
        throw bad(`component ${index} is of the unknown type ${components[at + 23]}`);
    }
  }
  throw bad('no component starts the program');
}

function readList(disk: ByteSource, first: SectorRun): readonly SectorRun[] {
  const runs: SectorRun[] = [];
  let next: SectorRun | undefined = first;
  for (let lists = 0; next !== undefined; lists += 1) {
    if (lists > longestList) throw bad('a block list has no end');
    const list = sectorAt(disk, next);
    next = undefined;
    for (let index = 0; index <= runsInList; index += 1) {
      const run = pointerAt(list, index * pointerBytes);
      if (run.sector === 0) break;
      if (index === runsInList && run.sectors === 1) next = run;
      else runs.push(run);
    }
  }
  return runs;
}

function pointerAt(buffer: Buffer, offset: number): SectorRun {
  const sector = buffer.readBigUInt64BE(offset);
  if (sector > 1n << 40n) throw bad(`a pointer leads to sector ${sector}`);
  if (sector !== 0n && buffer.readUInt16BE(offset + 8) !== sectorBytes) {
    throw bad(`a pointer has blocks of ${buffer.readUInt16BE(offset + 8)} bytes`);
  }
  return { sector: Number(sector), sectors: buffer.readUInt16BE(offset + 10) + 1 };
}

function sectorAt(disk: ByteSource, { sector }: SectorRun): Buffer {
  return readExactly(disk, sector * sectorBytes, sectorBytes);
}

function checkMagic(buffer: Buffer, what: string): void {
  if (!buffer.subarray(0, magic.length).equals(magic)) throw bad(`there is no ${what}`);
}

function bad(reason: string): MkimgError {
  return new MkimgError('bad-boot-map', `The disk has no boot map of a mainframe: ${reason}.`);
}
