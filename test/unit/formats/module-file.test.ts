import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { bufferSource } from '../../../src/formats/bytes.ts';
import { moduleFault } from '../../../src/formats/module-file.ts';

/** A header with two sections behind it. */
function elf(bits: 32 | 64): Buffer {
  const file = Buffer.alloc(bits === 64 ? 64 + 128 : 52 + 80);
  file.write('\x7fELF', 'latin1');
  file.set([bits / 32, 1], 4);
  if (bits === 64) file.writeBigUInt64LE(64n, 0x28);
  else file.writeUInt32LE(52, 0x20);
  file.writeUInt16LE(bits === 64 ? 64 : 40, bits === 64 ? 0x3a : 0x2e);
  file.writeUInt16LE(2, bits === 64 ? 0x3c : 0x30);
  return file;
}

const zstd = Buffer.from('28b52ffd045821000061626364cc925dd2', 'hex');
const xz = Buffer.concat([Buffer.from('fd377a585a000001', 'hex'), Buffer.alloc(40), Buffer.from('YZ')]);

function faultOf(name: string, content: Buffer): string | undefined {
  return moduleFault(`kernel/${name}`, bufferSource(content));
}

describe('moduleFault', () => {
  it.each([
    ['a.ko', elf(64)],
    ['a.ko', elf(32)],
    ['a.ko', Buffer.concat([elf(64), Buffer.from('~Module signature appended~')])],
    ['a.ko.xz', xz],
    ['a.ko.gz', gzipSync(elf(64))],
    ['a.ko.zst', zstd],
  ])('finds nothing wrong with a whole %s', (name, content) => {
    expect(faultOf(name, content)).toBeUndefined();
  });

  it.each([
    ['a.ko', elf(64)],
    ['a.ko', elf(32)],
    ['a.ko.xz', xz],
    ['a.ko.zst', zstd],
  ])('sees that the end of %s is missing', (name, content) => {
    expect(faultOf(name, content.subarray(0, content.length - 1))).toBe('it ends early');
  });

  it('sees what is something else', () => {
    expect(faultOf('a.ko', Buffer.alloc(0))).toBe('it is empty');
    expect(faultOf('a.ko', Buffer.from('no module'))).toBe('it is no ELF file');
    expect(faultOf('a.ko', xz)).toBe('it is no ELF file');
    expect(faultOf('a.ko.xz', elf(64))).toBe('it is no xz file');
    expect(faultOf('a.ko.zst', elf(64))).toBe('it is no zst file');
    expect(faultOf('a.ko.gz', Buffer.from('x'))).toBe('it is no gz file');
  });
});
