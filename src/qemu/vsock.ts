import { createHash, randomInt } from 'node:crypto';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { MkimgError } from '../base/errors.ts';
import { exists } from '../base/files.ts';
import type { VsockCid } from '../config/codecs/machine.ts';
import type { Feature } from '../config/codecs/scalars.ts';

/** The host's part of vsock(7) for guests. */
export const vsockDevice = hostPath('/dev/vhost-vsock');

/** 0 to 2 have meanings of their own. */
const lowestCid = 3;
const highestCid = 0xff_ff_ff_fe;

/**
 * The guest's address on the host's vsock(7); undefined where it gets none.
 * @throws MkimgError `vsock-unusable` when VSock=yes asks for what this host has not
 */
export async function chooseVsockCid(
  { VSock, VSockCID }: { readonly VSock: Feature; readonly VSockCID: VsockCid },
  image: HostPath,
  device: HostPath = vsockDevice,
): Promise<number | undefined> {
  if (VSock === false) return undefined;
  if (await exists(device)) return cidOf(VSockCID, image);
  if (VSock === 'auto') return undefined;
  throw new MkimgError('vsock-unusable', `VSock=yes, but ${device} does not exist`, {
    hint: 'As root: modprobe vhost_vsock. VSock=auto does without; `mkimg ssh` needs none.',
  });
}

/** Pure but for `auto`, which takes any: with four thousand million to choose from, two hardly ever meet. */
export function cidOf(setting: VsockCid, image: HostPath): number {
  if (typeof setting === 'number') return setting;
  if (setting === 'auto') return randomInt(lowestCid, highestCid);
  const digest = createHash('sha256').update(image).digest().readUInt32BE(0);
  return lowestCid + (digest % (highestCid - lowestCid));
}
