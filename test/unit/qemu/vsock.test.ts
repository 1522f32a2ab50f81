import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import { chooseVsockCid, cidOf } from '../../../src/qemu/vsock.ts';

const image = hostPath('/out/image.raw');
const [present, absent] = [hostPath('/dev/null'), hostPath('/dev/no-such-device')];

describe('the address on vsock', () => {
  it.each([
    [{ VSock: false, VSockCID: 7 }, present, undefined],
    [{ VSock: 'auto', VSockCID: 7 }, absent, undefined],
    [{ VSock: 'auto', VSockCID: 7 }, present, 7],
    [{ VSock: true, VSockCID: 7 }, present, 7],
  ] as const)('%j with %s', async (settings, device, cid) => {
    expect(await chooseVsockCid(settings, image, device)).toBe(cid);
  });

  it('is refused where it is asked for and the host has none', async () => {
    await expect(chooseVsockCid({ VSock: true, VSockCID: 'auto' }, image, absent)).rejects.toMatchObject({
      code: 'vsock-unusable',
    });
  });

  it('follows from the image, or is any', () => {
    expect(cidOf('hash', image)).toBe(cidOf('hash', image));
    expect(cidOf('hash', image)).not.toBe(cidOf('hash', hostPath('/out/other.raw')));
    for (let count = 0; count < 100; count++) expect(cidOf('auto', image)).toBeGreaterThan(2);
  });
});
