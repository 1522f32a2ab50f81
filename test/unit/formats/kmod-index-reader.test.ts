import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MkimgError } from '../../../src/base/errors.ts';
import { fnmatch, fnmatchBeginning } from '../../../src/formats/fnmatch.ts';
import { writeKmodIndex } from '../../../src/formats/kmod-index.ts';
import { openKmodIndex } from '../../../src/formats/kmod-index-reader.ts';
import { globSource } from '../../../src/steps/kernel-modules/patterns.ts';
import { processorMilliseconds } from '../../helpers/processor-time.ts';

const words = fc.string({ unit: fc.constantFrom('a', 'b', 'c', ':', '0'), maxLength: 8 });
const patterns = fc.string({
  unit: fc.constantFrom('a', 'b', ':', '*', '?', '[ab]', '[!a]', '[0-9]'),
  maxLength: 6,
});

describe('fnmatch', () => {
  it('agrees with the regular expression of a pattern', () => {
    const property = fc.property(patterns, words, (pattern, text) => {
      expect(fnmatch(pattern, text)).toBe(new RegExp(`^${globSource(pattern)}$`, 's').test(text));
    });
    fc.assert(property, { numRuns: 2000 });
  });

  it('knows which patterns may still match when they go on', () => {
    const property = fc.property(patterns, patterns, words, (start, rest, text) => {
      fc.pre(fnmatch(start + rest, text));
      for (let length = 0; length <= start.length; length++)
        expect(fnmatchBeginning(start.slice(0, length), text)).toBe(true);
    });
    fc.assert(property, { numRuns: 2000 });
    expect(fnmatchBeginning('pci:v1', 'usb:v1')).toBe(false);
  });

  it('takes a bracket without an end for itself', () => {
    expect(fnmatch('a[b', 'a[b')).toBe(true);
    expect(fnmatch('[]a]', ']')).toBe(true);
    expect(fnmatch('[a-]', '-')).toBe(true);
  });

  it('takes little time for patterns with many stars', () => {
    const started = processorMilliseconds();
    expect(fnmatch('*a'.repeat(40), 'a'.repeat(5000) + 'b')).toBe(false);
    expect(processorMilliseconds() - started).toBeLessThan(3000);
  });
});

describe('openKmodIndex', () => {
  it('finds what a comparison with all keys finds', () => {
    const keys = fc.array(
      patterns.filter((pattern) => pattern !== ''),
      { maxLength: 30 },
    );
    const property = fc.property(keys, fc.array(words, { maxLength: 10 }), (list, questions) => {
      const entries = list.map((key, priority) => ({ key, value: `module${priority % 7}`, priority }));
      const index = openKmodIndex(writeKmodIndex(entries));
      for (const question of questions) {
        const matching = entries.filter(({ key }) => fnmatch(key, question)).map(({ value }) => value);
        expect(index.lookup(question)).toEqual([...new Set(matching)]);
      }
    });
    fc.assert(property, { numRuns: 500 });
  });

  it('answers in the order of priority', () => {
    const entries = [
      { key: 'crypto_x', value: 'late', priority: 9 },
      { key: 'crypto_*', value: 'first', priority: 1 },
    ];
    expect(openKmodIndex(writeKmodIndex(entries)).lookup('crypto_x')).toEqual(['first', 'late']);
  });

  it('reports damage, and comes to an end', () => {
    const entries = ['pci:v*d*', 'pci:v1d[0-3]', 'usb:*', 'fs_ext4'].map((key) => ({
      ...{ key, value: key, priority: 0 },
    }));
    const sound = writeKmodIndex(entries);
    const property = fc.property(
      fc.nat(sound.length - 1),
      fc.nat(255),
      fc.nat(sound.length),
      (at, byte, length) => {
        const damaged = Buffer.from(sound.subarray(0, length));
        if (at < length) damaged[at] = byte;
        try {
          openKmodIndex(damaged).lookup('pci:v1d2');
        } catch (error) {
          expect(error).toBeInstanceOf(MkimgError);
          expect(error).toMatchObject({ code: 'bad-module-index' });
        }
      },
    );
    fc.assert(property, { numRuns: 2000 });
  });
});
