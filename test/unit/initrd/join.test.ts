import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { layOut } from '../../../src/initrd/join.ts';

describe('the layout of segments', () => {
  it('begins each at a multiple of 4 bytes', () => {
    expect(layOut([5, 8, 1])).toEqual({ offsets: [0, 8, 16], size: 17 });
  });

  it('keeps order and distance', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1000)), (sizes) => {
        const { offsets, size } = layOut(sizes);
        const ends = offsets.map((offset, index) => offset + (sizes[index] ?? 0));
        expect(offsets.every((offset) => offset % 4 === 0)).toBe(true);
        expect(
          offsets
            .slice(1)
            .every((offset, index) => offset - (ends[index] ?? 0) < 4 && offset >= (ends[index] ?? 0)),
        ).toBe(true);
        expect(size).toBe(ends.at(-1) ?? 0);
      }),
    );
  });
});
