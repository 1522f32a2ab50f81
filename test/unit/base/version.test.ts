import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareVersions } from '../../../src/base/version.ts';

describe('compareVersions', () => {
  it('orders the versions of the specification', () => {
    // uapi-group.org/specifications/specs/version_format_specification, examples; and releases of distributions.
    const ascending = [
      ['11~rc1', '11'],
      [
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
      ],
      ['6.1.0-9-amd64', '6.1.0-10-amd64', '6.12.9+deb13-amd64', '6.12.107+deb13-amd64', '7.2.12-loong64'],
      ['6.5.6-200.fc38.x86_64', '6.5.6-300.fc39.x86_64', '6.10.0-100.fc40.x86_64'],
      ['6.12.1~rc1', '6.12.1'],
    ];
    for (const list of ascending) {
      for (const [index, version] of list.entries()) {
        for (const older of list.slice(0, index)) {
          expect([older, version, compareVersions(older, version)]).toEqual([older, version, -1]);
          expect([version, older, compareVersions(version, older)]).toEqual([version, older, 1]);
        }
      }
    }
  });

  it('ignores leading zeros and characters without a meaning', () => {
    expect(compareVersions('6.01', '6.1')).toBe(0);
    expect(compareVersions('6_1', '6+1')).toBe(0);
  });

  it('compares runs of digits as numbers, which are newer than letters', () => {
    expect(compareVersions('1.010', '1.10')).toBe(0);
    expect(compareVersions('a', '1')).toBe(-1);
    expect(compareVersions('1a', '1b')).toBe(-1);
    expect(compareVersions('9007199254740993', '9007199254740992')).toBe(1);
  });

  it.each([
    // Answers of systemd-analyze compare-versions.
    ['9^^+~', '9^^.~', 1],
    ['a-+1', 'a-01', -1],
    ['a0~', 'a0~_', -1],
    ['.z', '.+z', 1],
    ['~~^.^', '~-~^.^', 1],
  ])('gives for %s and %s what systemd gives: %d', (left, right, order) => {
    expect(compareVersions(left, right)).toBe(order);
  });

  it('is an order', () => {
    const version = fc.string({
      unit: fc.constantFrom('0', '1', '9', 'a', 'B', '.', '-', '~', '^', '_', '+'),
    });
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(compareVersions(a, a)).toBe(0);
        expect(compareVersions(a, b) + compareVersions(b, a)).toBe(0);
        if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0)
          expect(compareVersions(a, c)).toBeLessThanOrEqual(0);
      }),
      { numRuns: 3000 },
    );
  });
});
