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

/** A Zstandard frame that says how long its content is, of one raw block (RFC 8878). */
function storedZstd(content: Buffer): Buffer {
  const header = Buffer.from('28b52ffda0' + '00000000' + '000000', 'hex');
  header.writeUInt32LE(content.length, 5);
  header.writeUIntLE((content.length << 3) | 1, 9, 3);
  return Buffer.concat([header, content]);
}

describe('readModuleInfo', () => {
  const texts = async (path: string, content: Buffer): Promise<readonly string[] | undefined> =>
    (await readModuleInfo(path, content))?.map(({ key, value }) => `${key}=${value}`);

  it('reads plain modules and those packed with gzip, xz and zstd', async () => {
    const elf = sampleElf(section);
    expect(await texts('a.ko', elf)).toEqual(expected);
    expect(await texts('a.ko.gz', gzipSync(elf))).toEqual(expected);
    expect(await texts('a.ko.xz', storedXz(elf))).toEqual(expected);
    expect(await texts('a.ko.zst', storedZstd(elf))).toEqual(expected);
  });

  it('leaves zstd to others where nothing says how much it unpacks to', async () => {
    // A window of 1 KiB, and one raw block that is the last.
    const unknown = Buffer.from('28b52ffd0000' + '290000' + '6d6f64756c', 'hex');
    expect(await texts('a.ko.zst', unknown)).toBeUndefined();
  });

  it('finds the description of a packed module, whatever stands around it', async () => {
    const noise = fc.uint8Array({ maxLength: 20_000 }).map((bytes) => Buffer.from(bytes));
    const property = fc.asyncProperty(
      noise,
      noise,
      fc.integer({ min: 100, max: 60_000 }),
      async (before, after, piece) => {
        const content = Buffer.concat([
          Buffer.alloc(5000),
          before,
          section.content,
          Buffer.from([1, 0]),
          after,
        ]);
        const found = await readModuleInfo(
          'a.ko.xz',
          storedXz(Buffer.concat([content, Buffer.alloc(50_000)]), piece),
        );
        expect(firmwareNames(found ?? [])).toEqual(['first.bin', 'dir/*.bin']);
      },
    );
    await fc.assert(property, { numRuns: 50 });
  });

  it.each(['garbage', 'key', 'key=', 'key=value'])(
    "tells the first field from a section before it that ends with '%s' and no NUL",
    async (garbage) => {
      const content = Buffer.concat([Buffer.from(`\0${garbage}`), section.content, Buffer.from('\0\0end\0')]);
      expect(await texts('a.ko.xz', storedXz(content))).toEqual(expected);
    },
  );

  it('unpacks no more than it needs', async () => {
    const whole = storedXz(
      Buffer.concat([section.content, Buffer.from('\x01\0'), mixture(), mixture()]),
      5000,
    );
    const cut = whole.subarray(0, 12_000);
    expect(await texts('a.ko.xz', Buffer.concat([Buffer.from(cut), Buffer.alloc(9)]))).toEqual(expected);
  });

  it.each([
    ['a.ko', Buffer.from('no module')],
    ['a.ko.gz', Buffer.from('no gzip')],
    ['a.ko.gz', gzipSync(sampleElf(section)).subarray(0, 40)],
    ['a.ko.xz', Buffer.from('no xz')],
    ['a.ko.xz', storedXz(Buffer.from('no module'))],
    ['a.ko.zst', Buffer.alloc(0)],
    ['a.ko.zst', Buffer.from('no zstd')],
    // Says that it unpacks to 4 GiB.
    ['a.ko.zst', Buffer.from('28b52ffda0' + '000000ff' + '010000', 'hex')],
    ['a.ko.zst', Buffer.from('28b52ffd20' + '05' + '1d0000' + 'ffffff', 'hex')],
    ['a.ko.lz4', sampleElf(section).subarray(2)],
  ])('reports %s that is damaged', async (path, content) => {
    await expect(readModuleInfo(path, content)).rejects.toThrow(MkimgError);
  });
});
