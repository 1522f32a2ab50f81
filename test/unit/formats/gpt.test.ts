import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MkimgError } from '../../../src/base/errors.ts';
import { architectureNames } from '../../../src/distro/architectures/index.ts';
import { bufferSource } from '../../../src/formats/bytes.ts';
import { readGpt } from '../../../src/formats/gpt.ts';
import { partitionTypeName, rootTypeGuid } from '../../../src/formats/gpt-types.ts';

const esp = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b';
const root = '4f68bce3-e8cd-4db1-96e7-fbcaf984b709';
const diskGuid = 'e662c22c-f133-40bd-bd84-2b64bd8320dd';

interface Entry {
  readonly type: string;
  readonly uuid: string;
  readonly first: number;
  readonly last: number;
  readonly label?: string;
  readonly attributes?: bigint;
}

interface DiskOptions {
  readonly entries?: readonly (Entry | undefined)[];
  readonly sectorSize?: number;
  readonly sectors?: number;
  /** Changes a header before its checksum is made. */
  readonly edit?: (header: Buffer, which: 'primary' | 'backup') => void;
}

const twoPartitions: readonly Entry[] = [
  { type: esp, uuid: 'ff100de8-ecac-4d10-a00d-a5f203b3f5cd', first: 40, last: 47, label: 'esp' },
  {
    type: root,
    uuid: '611a11de-83f1-4833-952d-dfbeb5532ce8',
    first: 48,
    last: 55,
    label: 'Wurzel ü €',
    attributes: 1n << 59n,
  },
];

const tableEntries = 4;

/** A disk as the UEFI specification describes it, made without the code under test. */
function disk({ entries = twoPartitions, sectorSize = 512, sectors = 128, edit }: DiskOptions = {}): Buffer {
  const image = Buffer.alloc(sectors * sectorSize);
  const table = Buffer.alloc(tableEntries * 128);
  entries.forEach((entry, index) => {
    if (entry !== undefined) writeEntry(table.subarray(index * 128, (index + 1) * 128), entry);
  });
  const header = (which: 'primary' | 'backup'): Buffer => {
    const bytes = Buffer.alloc(92);
    bytes.write('EFI PART', 'latin1');
    bytes.writeUInt32LE(0x00010000, 8);
    bytes.writeUInt32LE(92, 12);
    bytes.writeBigUInt64LE(BigInt(which === 'primary' ? 1 : sectors - 1), 24);
    bytes.writeBigUInt64LE(BigInt(which === 'primary' ? sectors - 1 : 1), 32);
    bytes.writeBigUInt64LE(34n, 40);
    bytes.writeBigUInt64LE(BigInt(sectors - 34), 48);
    writeGuid(bytes, 56, diskGuid);
    bytes.writeBigUInt64LE(BigInt(which === 'primary' ? 2 : sectors - 33), 72);
    bytes.writeUInt32LE(tableEntries, 80);
    bytes.writeUInt32LE(128, 84);
    bytes.writeUInt32LE(crc32(table), 88);
    edit?.(bytes, which);
    bytes.writeUInt32LE(crc32(bytes), 16);
    return bytes;
  };
  header('primary').copy(image, sectorSize);
  header('backup').copy(image, (sectors - 1) * sectorSize);
  table.copy(image, 2 * sectorSize);
  table.copy(image, (sectors - 33) * sectorSize);
  return image;
}

function writeEntry(bytes: Buffer, entry: Entry): void {
  writeGuid(bytes, 0, entry.type);
  writeGuid(bytes, 16, entry.uuid);
  bytes.writeBigUInt64LE(BigInt(entry.first), 32);
  bytes.writeBigUInt64LE(BigInt(entry.last), 40);
  bytes.writeBigUInt64LE(entry.attributes ?? 0n, 48);
  bytes.write(entry.label ?? '', 56, 72, 'utf16le');
}

function writeGuid(bytes: Buffer, offset: number, guid: string): void {
  const [a = '', b = '', c = '', d = '', e = ''] = guid.split('-');
  bytes.writeUInt32LE(parseInt(a, 16), offset);
  bytes.writeUInt16LE(parseInt(b, 16), offset + 4);
  bytes.writeUInt16LE(parseInt(c, 16), offset + 6);
  bytes.write(d + e, offset + 8, 'hex');
}

function read(image: Buffer) {
  return readGpt(bufferSource(image));
}

function codeOf(image: Buffer): string {
  try {
    read(image);
    return 'accepted';
  } catch (error) {
    if (error instanceof MkimgError) return error.code;
    throw error;
  }
}

describe('readGpt', () => {
  it('reads partitions with types, labels, flags and places in bytes', () => {
    expect(read(disk())).toEqual({
      sectorSize: 512,
      diskGuid,
      partitions: [
        {
          number: 1,
          typeGuid: esp,
          type: 'esp',
          uuid: 'ff100de8-ecac-4d10-a00d-a5f203b3f5cd',
          label: 'esp',
          attributes: 0n,
          offset: 40 * 512,
          size: 8 * 512,
        },
        {
          number: 2,
          typeGuid: root,
          type: 'root-x86-64',
          uuid: '611a11de-83f1-4833-952d-dfbeb5532ce8',
          label: 'Wurzel ü €',
          attributes: 1n << 59n,
          offset: 48 * 512,
          size: 8 * 512,
        },
      ],
    });
  });

  it.each([512, 1024, 2048, 4096])('finds out that sectors have %i bytes', (sectorSize) => {
    const gpt = read(disk({ sectorSize }));
    expect(gpt.sectorSize).toBe(sectorSize);
    expect(gpt.partitions[0]?.offset).toBe(40 * sectorSize);
  });

  it('keeps the numbers of partitions behind unused entries, and GUIDs that it does not know', () => {
    const [, second] = twoPartitions;
    if (second === undefined) throw new Error('unreachable');
    const type = '01234567-89ab-cdef-0123-456789abcdef';
    const [partition] = read(disk({ entries: [undefined, undefined, { ...second, type }] })).partitions;
    expect(partition).toMatchObject({ number: 3, type, typeGuid: type });
  });

  it('says that there is no table', () => {
    expect(codeOf(Buffer.alloc(0))).toBe('no-gpt');
    expect(codeOf(Buffer.alloc(1 << 16))).toBe('no-gpt');
  });

  it('finds every change of any byte of the tables', () => {
    const image = disk();
    const protectedRanges = [
      [512, 92],
      [1024, tableEntries * 128],
      [127 * 512, 92],
      [95 * 512, tableEntries * 128],
    ] as const;
    const place = fc
      .constantFrom(...protectedRanges)
      .chain(([start, length]) => fc.integer({ min: start, max: start + length - 1 }));
    fc.assert(
      fc.property(place, fc.integer({ min: 1, max: 255 }), (offset, flip) => {
        const damaged = Buffer.from(image);
        damaged.writeUInt8(damaged.readUInt8(offset) ^ flip, offset);
        expect(codeOf(damaged)).not.toBe('accepted');
      }),
      { numRuns: 500 },
    );
  });

  it('never reads outside of a disk that was cut off', () => {
    const image = disk();
    fc.assert(
      fc.property(fc.integer({ min: 0, max: image.length - 1 }), (length) => {
        expect(codeOf(image.subarray(0, length))).toMatch(/^(no-gpt|bad-gpt|truncated-file)$/);
      }),
    );
  });

  it('refuses tables that are consistent but impossible, with right checksums', () => {
    const edits: readonly ((header: Buffer) => void)[] = [
      (header) => header.writeUInt32LE(0x00020000, 8),
      (header) => header.writeUInt32LE(91, 12),
      (header) => header.writeUInt32LE(1, 20),
      (header) => header.writeBigUInt64LE(1000n, 32),
      (header) => header.writeBigUInt64LE(2n ** 63n, 48),
      (header) => header.writeBigUInt64LE(200n, 48),
      (header) => header.writeBigUInt64LE(45n, 40),
      (header) => header.writeBigUInt64LE(40n, 72),
      (header) => header.writeUInt32LE(0xffffffff, 80),
      (header) => header.writeUInt32LE(136, 84),
      (header) => header.writeUInt32LE(64, 84),
    ];
    for (const edit of edits) expect(codeOf(disk({ edit }))).toBe('bad-gpt');
  });

  it('refuses a backup that says something else', () => {
    const edit = (header: Buffer, which: string) => {
      if (which === 'backup') writeGuid(header, 56, esp);
    };
    expect(codeOf(disk({ edit }))).toBe('bad-gpt');
  });

  it('refuses partitions that overlap, lie outside or share a UUID', () => {
    const [first, second] = twoPartitions;
    if (first === undefined || second === undefined) throw new Error('unreachable');
    expect(codeOf(disk({ entries: [first, { ...second, first: 47 }] }))).toBe('bad-gpt');
    expect(codeOf(disk({ entries: [first, { ...second, first: 33, last: 35 }] }))).toBe('bad-gpt');
    expect(codeOf(disk({ entries: [first, { ...second, last: 95 }] }))).toBe('bad-gpt');
    expect(codeOf(disk({ entries: [first, { ...second, first: 60, last: 50 }] }))).toBe('bad-gpt');
    expect(codeOf(disk({ entries: [first, { ...second, uuid: first.uuid }] }))).toBe('bad-gpt');
  });
});

describe('partitionTypeName', () => {
  it('knows the root partition of every architecture', () => {
    for (const architecture of architectureNames) {
      expect(partitionTypeName(rootTypeGuid(architecture).toUpperCase())).toBe(`root-${architecture}`);
    }
  });

  it('knows verity partitions and those of loaders', () => {
    expect(partitionTypeName('2c7357ed-ebd2-46d9-aec1-23d437ec2bf5')).toBe('root-x86-64-verity');
    expect(partitionTypeName('c23ce4ff-44bd-4b00-b2d4-b41b3419e02a')).toBe('usr-arm64-verity-sig');
    expect(partitionTypeName(esp)).toBe('esp');
    expect(partitionTypeName(diskGuid)).toBeUndefined();
  });
});
