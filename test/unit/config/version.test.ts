import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareVersions, conditionOf, satisfies } from '../../../src/config/version.ts';

/** The example of systemd's version format specification, oldest first. */
const ascending = [
  '122.1',
  '123~rc1-1',
  '123',
  '123-a',
  '123-a.1',
  '123-1',
  '123-1.1',
  '123^post1',
  '123.a-1',
  '123.1-1',
  '123a-1',
  '124-1',
];

describe('versions', () => {
  it('sort as systemd sorts them', () => {
    expect([...ascending].reverse().sort(compareVersions)).toEqual(ascending);
  });

  it('count digits as numbers and ignore zeros before them', () => {
    expect(compareVersions('1.010', '1.10')).toBe(0);
    expect(compareVersions('a', '1')).toBeLessThan(0);
    expect(compareVersions('1a', '1b')).toBeLessThan(0);
  });

  it('have a total order', () => {
    const version = fc.string({ unit: fc.constantFrom('0', '1', '9', 'a', 'B', '.', '-', '~', '^', '_') });
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(Math.sign(compareVersions(a, b))).toBe(-Math.sign(compareVersions(b, a)) + 0);
        expect(compareVersions(a, a)).toBe(0);
        if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0)
          expect(compareVersions(a, c)).toBeLessThanOrEqual(0);
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    ['1.10', '>1.9', true],
    ['1.10', '<1.9', false],
    ['1.10', '1.10', true],
    ['1.10', '==1.10', true],
    ['1.10', '=1.10', true],
    ['1.10', '!=1.10', false],
    ['1.10', '>=1.10', true],
    ['1.10', '<=1.10~rc1', false],
  ])('%s satisfies %s: %s', (version, condition, holds) => {
    expect(satisfies(version, conditionOf(condition))).toBe(holds);
  });
});
