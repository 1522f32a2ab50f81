import { crc32 } from 'node:zlib';
import { MkimgError } from '../base/errors.ts';
import type { ByteSource } from './bytes.ts';
import { readExactly } from './bytes.ts';
import { partitionTypeName } from './gpt-types.ts';

/** One partition. Offsets and sizes are bytes. */
export interface GptPartition {
  /** Position in the table, counted from 1, as in `/dev/sda1`. */
  readonly number: number;
  /** Lower-case GUID. */
  readonly typeGuid: string;
  /** systemd's name of the type (`esp`, `root-x86-64`); the GUID where there is none. */
  readonly type: string;
  /** Lower-case GUID of this partition (PARTUUID). */
  readonly uuid: string;
  readonly label: string;
  /** All 64 flags; bits 48 to 63 belong to the type. */
  readonly attributes: bigint;
  readonly offset: number;
  readonly size: number;
}

/** A GUID partition table. */
export interface Gpt {
  /** Bytes in a logical block. */
  readonly sectorSize: number;
  /** Lower-case GUID. */
  readonly diskGuid: string;
  /** In the order of the table; unused entries are left out. */
  readonly partitions: readonly GptPartition[];
}

/** Layout of the header and of an entry: UEFI specification 2.10, section 5.3. */
const signature = Buffer.from('EFI PART');
const revision = 0x00010000;
const headerBytes = 92;
const entryBytes = 128;
/** No disk has a larger table; more is an attempt to make the reader work. */
const entriesLimit = 4 << 20;
const sectorSizes = [512, 4096, 1024, 2048] as const;

interface Header {
  readonly lba: number;
  readonly alternateLba: number;
  readonly firstUsable: number;
  readonly lastUsable: number;
  readonly diskGuid: string;
  readonly entriesLba: number;
  readonly entryCount: number;
  readonly entrySize: number;
  readonly entriesCrc: number;
}

/**
 * Reads the partition table of a disk image, both copies of it, and checks everything that the specification fixes:
 * checksums, positions, that partitions lie inside the usable area and apart from each other.
 * @throws MkimgError `no-gpt` when the disk has no such table, `bad-gpt` when it is damaged, `truncated-file` when the
 * image ends early.
 */
export function readGpt(source: ByteSource): Gpt {
  const sectorSize = sectorSizes.find((size) => source.read(size, signature.length).equals(signature));
  if (sectorSize === undefined) {
    throw new MkimgError('no-gpt', 'The disk image has no GUID partition table.');
  }
  const disk: Disk = { source, sectorSize, sectors: Math.floor(source.size / sectorSize) };
  const primary = readHeader(disk, 1);
  const backup = readHeader(disk, primary.alternateLba);
  if (primary.alternateLba !== disk.sectors - 1) {
    throw bad(`the backup table is at sector ${primary.alternateLba}, not at the end of the disk`);
  }
  const entries = readEntries(disk, primary);
  if (!sameTable(primary, backup) || !readEntries(disk, backup).equals(entries)) {
    throw bad('the backup table differs from the first one');
  }
  const partitions = parseEntries(entries, primary, sectorSize);
  checkPlacement(partitions);
  return { sectorSize, diskGuid: primary.diskGuid, partitions };
}

interface Disk {
  readonly source: ByteSource;
  readonly sectorSize: number;
  readonly sectors: number;
}

function readHeader(disk: Disk, lba: number): Header {
  if (lba < 1 || lba >= disk.sectors)
    throw bad(`a table is said to be at sector ${lba}, outside of the disk`);
  const block = readExactly(disk.source, lba * disk.sectorSize, disk.sectorSize);
  if (!block.subarray(0, signature.length).equals(signature)) throw bad(`there is no table at sector ${lba}`);
  if (block.readUInt32LE(8) !== revision) throw bad('unknown revision');
  const size = block.readUInt32LE(12);
  if (size < headerBytes || size > disk.sectorSize) throw bad(`header of ${size} bytes`);
  checkHeaderSum(block.subarray(0, size));
  if (block.readUInt32LE(20) !== 0) throw bad('reserved bytes are not zero');
  const header: Header = {
    lba: blockNumber(block, 24),
    alternateLba: blockNumber(block, 32),
    firstUsable: blockNumber(block, 40),
    lastUsable: blockNumber(block, 48),
    diskGuid: readGuid(block, 56),
    entriesLba: blockNumber(block, 72),
    entryCount: block.readUInt32LE(80),
    entrySize: block.readUInt32LE(84),
    entriesCrc: block.readUInt32LE(88),
  };
  checkHeader(disk, header, lba);
  return header;
}

function checkHeaderSum(header: Buffer): void {
  const copy = Buffer.from(header);
  copy.writeUInt32LE(0, 16);
  if (crc32(copy) !== header.readUInt32LE(16)) throw bad('the checksum of the header does not match');
}

function checkHeader(disk: Disk, header: Header, lba: number): void {
  const { entryCount, entrySize, firstUsable, lastUsable } = header;
  if (header.lba !== lba) throw bad(`the table at sector ${lba} says that it is at ${header.lba}`);
  if (entrySize < entryBytes || !Number.isInteger(Math.log2(entrySize))) {
    throw bad(`entries of ${entrySize} bytes`);
  }
  if (entryCount * entrySize > entriesLimit) throw bad(`${entryCount} entries of ${entrySize} bytes`);
  if (firstUsable > lastUsable + 1 || lastUsable >= disk.sectors) {
    throw bad(`usable sectors from ${firstUsable} to ${lastUsable}`);
  }
  const end = header.entriesLba + Math.ceil((entryCount * entrySize) / disk.sectorSize);
  if (header.entriesLba < 2 || end > disk.sectors) throw bad(`entries at sector ${header.entriesLba}`);
  if (header.entriesLba <= lastUsable && end > firstUsable) throw bad('entries inside of the usable sectors');
}

function sameTable(left: Header, right: Header): boolean {
  return (
    left.lba === right.alternateLba &&
    left.firstUsable === right.firstUsable &&
    left.lastUsable === right.lastUsable &&
    left.diskGuid === right.diskGuid &&
    left.entryCount === right.entryCount &&
    left.entrySize === right.entrySize &&
    left.entriesCrc === right.entriesCrc
  );
}

function readEntries(disk: Disk, header: Header): Buffer {
  const length = header.entryCount * header.entrySize;
  const entries = readExactly(disk.source, header.entriesLba * disk.sectorSize, length);
  if (crc32(entries) !== header.entriesCrc) throw bad('the checksum of the entries does not match');
  return entries;
}

const unusedType = '00000000-0000-0000-0000-000000000000';

function parseEntries(entries: Buffer, header: Header, sectorSize: number): readonly GptPartition[] {
  const partitions: GptPartition[] = [];
  for (let index = 0; index < header.entryCount; index += 1) {
    const entry = entries.subarray(index * header.entrySize, (index + 1) * header.entrySize);
    const typeGuid = readGuid(entry, 0);
    if (typeGuid === unusedType) continue;
    const first = blockNumber(entry, 32);
    const last = blockNumber(entry, 40);
    const number = index + 1;
    if (first > last || first < header.firstUsable || last > header.lastUsable) {
      throw bad(`partition ${number} covers sectors ${first} to ${last}`);
    }
    partitions.push({
      number,
      typeGuid,
      type: partitionTypeName(typeGuid) ?? typeGuid,
      uuid: readGuid(entry, 16),
      label: readLabel(entry.subarray(56, entryBytes)),
      attributes: entry.readBigUInt64LE(48),
      offset: first * sectorSize,
      size: (last - first + 1) * sectorSize,
    });
  }
  return partitions;
}

function checkPlacement(partitions: readonly GptPartition[]): void {
  const sorted = [...partitions].sort((left, right) => left.offset - right.offset);
  sorted.forEach((partition, index) => {
    const next = sorted[index + 1];
    if (next !== undefined && partition.offset + partition.size > next.offset) {
      throw bad(`partitions ${partition.number} and ${next.number} overlap`);
    }
  });
  const uuids = new Set(partitions.map(({ uuid }) => uuid));
  if (uuids.size !== partitions.length) throw bad('two partitions have the same UUID');
}

/** GUIDs are stored with their first three groups in little-endian order (UEFI, appendix A). */
function readGuid(bytes: Buffer, offset: number): string {
  const groups = [
    bytes.readUInt32LE(offset).toString(16).padStart(8, '0'),
    bytes
      .readUInt16LE(offset + 4)
      .toString(16)
      .padStart(4, '0'),
    bytes
      .readUInt16LE(offset + 6)
      .toString(16)
      .padStart(4, '0'),
    bytes.toString('hex', offset + 8, offset + 10),
    bytes.toString('hex', offset + 10, offset + 16),
  ];
  return groups.join('-');
}

function readLabel(bytes: Buffer): string {
  const text = bytes.toString('utf16le');
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

function blockNumber(bytes: Buffer, offset: number): number {
  const value = bytes.readBigUInt64LE(offset);
  // 2^40 blocks are more than any file can hold, and their byte offsets are still exact numbers.
  if (value > 1n << 40n) throw bad(`sector number ${value.toString()}`);
  return Number(value);
}

function bad(reason: string): MkimgError {
  return new MkimgError('bad-gpt', `The partition table of the disk image is damaged: ${reason}.`);
}
