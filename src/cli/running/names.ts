import type { HostPath, ImageName } from '../../base/brand.ts';
import { machineName, registryPlace } from '../../qemu/running/registry.ts';
import { callerUid } from '../../sandbox/namespace.ts';

/** Where the machines of the calling user are listed. */
export function ownRegistry(): HostPath {
  return registryPlace(process.env, callerUid());
}

/** What the machine of an image is called: `Machine=`; with the name of the image after it, unless it is the main one. */
export function machineNameOf(machine: string | undefined, image: ImageName): string {
  const name = machine ?? 'mkimg';
  return machineName(image === 'main' ? name : `${name}-${image}`);
}
