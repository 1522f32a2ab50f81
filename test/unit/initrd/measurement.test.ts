import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../src/base/canonical.ts';
import { bufferSource } from '../../../src/formats/bytes.ts';
import { initrdMeasurement } from '../../../src/initrd/measurement.ts';

describe('initrdMeasurement', () => {
  it.each([0, 5, 1 << 20, 3 * (1 << 20) + 7])('is the digest of all %i bytes', (size) => {
    const data = Buffer.alloc(size, 'mkimg');
    expect(initrdMeasurement(bufferSource(data))).toBe(sha256(data));
  });
});
