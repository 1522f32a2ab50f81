import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareDebianVersions,
  parseOperator,
  satisfiesVersion,
} from '../../../src/distro/debian-version.ts';

const version = fc
  .tuple(
    fc.option(fc.nat(9)),
    fc.stringMatching(/^[0-9][0-9a-z.+~-]{0,8}$/),
    fc.option(fc.stringMatching(/^[0-9a-z.+~]{1,5}$/)),
  )
  .map(
    ([epoch, upstream, revision]) =>
      `${epoch === null ? '' : `${epoch}:`}${upstream}${revision === null ? '' : `-${revision}`}`,
  );

describe('compareDebianVersions', () => {
  it.each([
    ['1.0~rc1', '1.0'],
    ['1.0~~', '1.0~'],
    ['1.0', '1.0a'],
    ['1.0a', '1.0+'],
    ['1.9', '1.10'],
    ['1.0-1', '1.0-1+deb13u1'],
    ['1.0-1~bpo12+1', '1.0-1'],
    ['9', '1:0'],
    ['2.36-9', '2.36-9+b1'],
    ['1.0', '1.0-0.1'],
  ])('%s is older than %s', (left, right) => {
    expect(compareDebianVersions(left, right)).toBeLessThan(0);
    expect(compareDebianVersions(right, left)).toBeGreaterThan(0);
  });

  it.each([
    ['1.0', '0:1.0'],
    ['1.0', '1.0-0'],
    ['1.01', '1.1'],
    ['1.', '1.0'],
  ])('%s is %s', (left, right) => {
    expect(compareDebianVersions(left, right)).toBe(0);
  });

  it('is an order', () => {
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(Math.sign(compareDebianVersions(a, b))).toBe(-Math.sign(compareDebianVersions(b, a)) + 0);
        if (compareDebianVersions(a, b) <= 0 && compareDebianVersions(b, c) <= 0) {
          expect(compareDebianVersions(a, c)).toBeLessThanOrEqual(0);
        }
      }),
    );
  });
});

describe('satisfiesVersion', () => {
  it('knows the operators of relations, old forms included', () => {
    expect(satisfiesVersion('1', '<<', '2')).toBe(true);
    expect(satisfiesVersion('2', '<<', '2')).toBe(false);
    expect(satisfiesVersion('2', '<=', '2')).toBe(true);
    expect(satisfiesVersion('2', '=', '2')).toBe(true);
    expect(satisfiesVersion('2', '>=', '2')).toBe(true);
    expect(satisfiesVersion('2', '>>', '2')).toBe(false);
    expect(['<', '>', '=', '=='].map(parseOperator)).toEqual(['<=', '>=', '=', undefined]);
  });
});
