import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MkimgError } from '../../../src/base/errors.ts';
import { firmwareNames } from '../../../src/formats/kmod.ts';
import { readModuleInfo } from '../../../src/formats/module-info.ts';
import { openXzBlock } from '../../../src/formats/xz-block.ts';
import { sampleElf } from './samples.ts';
import { mixture, otherwisePackedMixture, packedMixture, storedXz } from './xz-samples.ts';

describe('openXzBlock', () => {
  it.each([
    ['with the usual properties', packedMixture],
    ['with others', otherwisePackedMixture],
    ['that is stored', storedXz(mixture(), 1000)],
  ])('unpacks data %s, at once and in steps', (_which, packed) => {
    expect(openXzBlock(packed).decodeTo(Infinity)).toEqual({ bytes: mixture(), isComplete: true });
    const decoder = openXzBlock(packed);
    for (let size = 1; size < 12_000; size += 377) {
      const { bytes, isComplete } = decoder.decodeTo(size);
      expect(isComplete).toBe(false);
      expect(bytes.length).toBeGreaterThanOrEqual(size);
      expect(bytes.equals(mixture().subarray(0, bytes.length))).toBe(true);
    }
    expect(decoder.decodeTo(12_001).isComplete).toBe(true);
  });

  it('reports damage, wherever it is', () => {
    const places = fc.array(fc.tuple(fc.nat(packedMixture.length - 1), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 3,
    });
    const property = fc.property(places, fc.nat(packedMixture.length), (changes, length) => {
      const damaged = Buffer.from(packedMixture.subarray(0, length));
      for (const [place, difference] of changes)
        if (place < length) damaged[place] = (damaged[place] ?? 0) ^ difference;
      try {
        // Some damage shows in checksums only, which are not looked at.
        expect(openXzBlock(damaged).decodeTo(1 << 24).bytes.length).toBeLessThan(1 << 24);
      } catch (error) {
        expect(error).toBeInstanceOf(MkimgError);
      }
    });
    fc.assert(property, { numRuns: 300 });
  });

  it.each([
    ['is no xz file', Buffer.alloc(64, 'x'), 'not an xz file'],
    [
      'has another filter',
      Buffer.from('fd377a585a00000100000000020004002101160000000000', 'hex'),
      'a filter besides LZMA2',
    ],
  ])('refuses what %s', (_what, file, message) => {
    expect(() => openXzBlock(file)).toThrow(message);
  });
});

const fields = [
  'firmware=first.bin',
  'license=GPL',
  'firmware=dir/*.bin',
  'description=two\nlines',
  '',
  'depends=a,b',
  'vermagic=6.1 SMP',
  'name=x',
];
const section = { name: '.modinfo', content: Buffer.from(`${fields.join('\0')}\0`) };
const expected = fields.filter((field) => field !== '');

describe('readModuleInfo', () => {
  const texts = (path: string, content: Buffer): readonly string[] | undefined =>
    readModuleInfo(path, content)?.map(({ key, value }) => `${key}=${value}`);

  it('reads plain modules and those packed with gzip and xz', () => {
    const elf = sampleElf(section);
    expect(texts('a.ko', elf)).toEqual(expected);
    expect(texts('a.ko.gz', gzipSync(elf))).toEqual(expected);
    expect(texts('a.ko.xz', storedXz(elf))).toEqual(expected);
  });

  it('leaves zstd to others', () => {
    expect(texts('a.ko.zst', Buffer.alloc(0))).toBeUndefined();
  });

  it('finds the description of a packed module, whatever stands around it', () => {
    const noise = fc.uint8Array({ maxLength: 20_000 }).map((bytes) => Buffer.from(bytes));
    const property = fc.property(
      noise,
      noise,
      fc.integer({ min: 100, max: 60_000 }),
      (before, after, piece) => {
        const content = Buffer.concat([
          Buffer.alloc(5000),
          before,
          section.content,
          Buffer.from([1, 0]),
          after,
        ]);
        const found = readModuleInfo(
          'a.ko.xz',
          storedXz(Buffer.concat([content, Buffer.alloc(50_000)]), piece),
        );
        expect(firmwareNames(found ?? [])).toEqual(['first.bin', 'dir/*.bin']);
      },
    );
    fc.assert(property, { numRuns: 50 });
  });

  it('tells the first field from a section before it that has no end', () => {
    const content = Buffer.concat([Buffer.from('\0garbage'), section.content, Buffer.from('\0\0end\0')]);
    expect(texts('a.ko.xz', storedXz(content))).toEqual(expected);
  });

  it('unpacks no more than it needs', () => {
    const whole = storedXz(
      Buffer.concat([section.content, Buffer.from('\x01\0'), mixture(), mixture()]),
      5000,
    );
    const cut = whole.subarray(0, 12_000);
    expect(texts('a.ko.xz', Buffer.concat([Buffer.from(cut), Buffer.alloc(9)]))).toEqual(expected);
  });

  it.each([
    ['a.ko', Buffer.from('no module')],
    ['a.ko.gz', Buffer.from('no gzip')],
    ['a.ko.gz', gzipSync(sampleElf(section)).subarray(0, 40)],
    ['a.ko.xz', Buffer.from('no xz')],
    ['a.ko.xz', storedXz(Buffer.from('no module'))],
    ['a.ko.lz4', sampleElf(section).subarray(2)],
  ])('reports %s that is damaged', (path, content) => {
    expect(() => readModuleInfo(path, content)).toThrow(MkimgError);
  });
});
