import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bufferSource } from '../../../src/formats/bytes.ts';
import type { Segment } from '../../../src/formats/zipl-map.ts';
import {
  bootRecordBytes,
  readZiplMap,
  sectorBytes,
  tableSectors,
  ziplMap,
} from '../../../src/formats/zipl-map.ts';

const start = 0x0008_0000_8001_0000n;

/** A disk with a map at this sector, and nothing where the map points to. */
function diskWith(segments: readonly Segment[], sector: number): Buffer {
  const { bootRecord, tables } = ziplMap({ segments, start }, sector);
  const disk = Buffer.alloc(sector * sectorBytes + tables.length);
  bootRecord.copy(disk);
  tables.copy(disk, sector * sectorBytes);
  return disk;
}

const segment = fc.record({
  sector: fc.integer({ min: 1, max: 2 ** 39 }),
  // Enough for a block list of several sectors.
  sectors: fc.oneof(
    fc.integer({ min: 1, max: 0x1_0001 }),
    fc.integer({ min: 31 * 0x1_0000 - 2, max: 70 * 0x1_0000 }),
  ),
  address: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
});

describe('ziplMap', () => {
  it('says what is to be loaded so that the reader finds it again', () => {
    fc.assert(
      fc.property(
        fc.array(segment, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 4096 }),
        (segments, sector) => {
          const found = readZiplMap(bufferSource(diskWith(segments, sector)));
          expect(found.start).toBe(start);
          expect(found.segments.map(({ address }) => address)).toEqual(
            segments.map(({ address }) => address),
          );
          for (const [index, { sector: first, sectors }] of segments.entries()) {
            let next = first;
            for (const run of found.segments[index]?.runs ?? []) {
              expect(run.sector).toBe(next);
              expect(run.sectors).toBeLessThanOrEqual(0x1_0000);
              next += run.sectors;
            }
            expect(next).toBe(first + sectors);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it('leaves the last place of a list sector to the pointer to the next one', () => {
    const segments = [{ sector: 5000, sectors: 32 * 0x1_0000, address: 0n }];
    expect(tableSectors(segments)).toBe(2 + 2);
    const { tables } = ziplMap({ segments, start }, 100);
    const last = 2 * sectorBytes + 31 * 16;
    expect(tables.readBigUInt64BE(last)).toBe(103n);
    // One sector: what QEMU takes for the pointer that goes on.
    expect(tables.readUInt16BE(last + 10)).toBe(0);
    expect(tables.readBigUInt64BE(3 * sectorBytes)).toBe(BigInt(5000 + 31 * 0x1_0000));
    expect(tables.readBigUInt64BE(3 * sectorBytes + 16)).toBe(0n);
  });

  it('has the bytes that the loader of QEMU reads', () => {
    const { bootRecord, tables } = ziplMap(
      { segments: [{ sector: 2056, sectors: 3, address: 0x10000n }], start },
      2048,
    );
    expect(bootRecord.length).toBe(bootRecordBytes);
    expect(bootRecord.toString('hex')).toBe(
      '7a49504c0000000100000000000000000000000000000800020000000000000000'.slice(0, 64),
    );
    const [programs, components, list] = [0, 1, 2].map((index) =>
      tables.subarray(index * sectorBytes, (index + 1) * sectorBytes).toString('hex'),
    );
    expect(programs?.slice(0, 64)).toBe(
      '7a49504c000000000000000000000000' + '00000000000008010200000000000000',
    );
    expect(components?.slice(0, 192)).toBe(
      `7a49504c${'0'.repeat(56)}` +
        '00000000000008020200000000000000' +
        '00000000000000020000000000010000' +
        '0'.repeat(32) +
        '00000000000000010008000080010000',
    );
    expect(list?.slice(0, 64)).toBe('00000000000008080200000200000000' + '0'.repeat(32));
  });
});

describe('readZiplMap', () => {
  const whole = diskWith([{ sector: 9, sectors: 1, address: 0n }], 1);

  it.each<[string, (disk: Buffer) => void]>([
    ['no boot record', (disk) => disk.fill(0, 0, 4)],
    ['no program table', (disk) => disk.fill(0, 512, 516)],
    ['no component table', (disk) => disk.fill(0, 1024, 1028)],
    ['unknown type', (disk) => void (disk[1024 + 32 + 23] = 7)],
    ['starts the program', (disk) => fillWithLoads(disk)],
    ['blocks of 256 bytes', (disk) => void disk.writeUInt16BE(256, 24)],
    ['a pointer leads to sector', (disk) => void disk.writeBigUInt64BE(1n << 60n, 16)],
  ])('refuses a disk with %s', (reason, damage) => {
    const disk = Buffer.from(whole);
    damage(disk);
    expect(() => readZiplMap(bufferSource(disk))).toThrow(reason);
  });

  it('does not follow a list for ever', () => {
    const disk = Buffer.from(whole);
    const list = 3 * sectorBytes;
    for (let index = 0; index < 32; index += 1) {
      disk.writeBigUInt64BE(3n, list + index * 16);
      disk.writeUInt16BE(512, list + index * 16 + 8);
    }
    expect(() => readZiplMap(bufferSource(disk))).toThrow('no end');
  });

  it('refuses a disk that ends before what it points to', () => {
    expect(() => readZiplMap(bufferSource(whole.subarray(0, 700)))).toThrow(/ends at byte/);
  });

  it('reads nothing but maps out of arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4096 }), (bytes) => {
        expect(() => readZiplMap(bufferSource(bytes))).toThrow();
      }),
    );
  });
});

function fillWithLoads(disk: Buffer): void {
  for (let index = 1; index <= 15; index += 1) {
    disk.copy(disk, 1024 + index * 32, 1024 + 32, 1024 + 64);
  }
}
