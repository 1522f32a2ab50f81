import { describe, expect, it } from 'vitest';
import { bufferSource } from '../../../src/formats/bytes.ts';
import { isUndersizedFat32 } from '../../../src/formats/fat.ts';

interface Geometry {
  readonly sectors: number;
  readonly sectorsPerCluster?: number;
  readonly sectorsPerFat16?: number;
}

/** The boot sector of a FAT with 32 reserved sectors and two tables of 512 sectors, 1024 bytes into the image. */
function image({ sectors, sectorsPerCluster = 1, sectorsPerFat16 = 0 }: Geometry): Buffer {
  const bytes = Buffer.alloc(2048);
  const boot = bytes.subarray(1024);
  boot.writeUInt8(sectorsPerCluster, 13);
  boot.writeUInt16LE(32, 14);
  boot.writeUInt8(2, 16);
  boot.writeUInt16LE(sectorsPerFat16, 22);
  boot.writeUInt32LE(sectors, 32);
  boot.writeUInt32LE(512, 36);
  boot.writeUInt16LE(0xaa55, 510);
  return bytes;
}

const overhead = 32 + 2 * 512;

describe('isUndersizedFat32', () => {
  it('draws the line at 65525 clusters', () => {
    expect(isUndersizedFat32(bufferSource(image({ sectors: overhead + 65525 })), 1024)).toBe(false);
    expect(isUndersizedFat32(bufferSource(image({ sectors: overhead + 65524 })), 1024)).toBe(true);
    const large = { sectors: overhead + 65525 * 8 - 1, sectorsPerCluster: 8 };
    expect(isUndersizedFat32(bufferSource(image(large)), 1024)).toBe(true);
  });

  it('has no opinion on FAT16 and on what is no FAT', () => {
    expect(isUndersizedFat32(bufferSource(image({ sectors: 5000, sectorsPerFat16: 20 })), 1024)).toBe(false);
    expect(isUndersizedFat32(bufferSource(Buffer.alloc(4096)), 1024)).toBe(false);
    expect(isUndersizedFat32(bufferSource(Buffer.alloc(100)), 1024)).toBe(false);
  });
});
