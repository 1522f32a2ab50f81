import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareKernelVersions } from '../../../src/formats/kernel-version.ts';

describe('compareKernelVersions', () => {
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
          expect([older, version, compareKernelVersions(older, version)]).toEqual([older, version, -1]);
          expect([version, older, compareKernelVersions(version, older)]).toEqual([version, older, 1]);
        }
      }
    }
  });

  it('ignores leading zeros and characters without a meaning', () => {
    expect(compareKernelVersions('6.01', '6.1')).toBe(0);
    expect(compareKernelVersions('6_1', '6+1')).toBe(0);
  });

  it('is an order', () => {
    const version = fc.stringMatching(/^[0-9a-zA-B~^.+-]{0,8}$/);
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(compareKernelVersions(a, a)).toBe(0);
        expect(compareKernelVersions(a, b) + compareKernelVersions(b, a)).toBe(0);
        if (compareKernelVersions(a, b) <= 0 && compareKernelVersions(b, c) <= 0)
          expect(compareKernelVersions(a, c)).toBeLessThanOrEqual(0);
      }),
    );
  });
});
