import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import type { HostDevice } from './devices.ts';
import { busDevices, deviceLinks } from './devices.ts';
import { readText } from './files.ts';
import type { StorageFacts } from './storage.ts';
import { storageFacts } from './storage.ts';

/** What sysfs and procfs say about the machine; everything is empty where they are not there. */
export interface HostFacts {
  /** Devices that name a driver or can be told by an alias, sorted by path. */
  readonly devices: readonly HostDevice[];
  /** Names of loaded modules, with `_` for `-`; none when the kernel has no loadable modules. */
  readonly loadedModules: readonly string[];
  /** What the root file system and other file systems of the boot stand on. */
  readonly storage: StorageFacts;
}

/**
 * Looks at the machine, without starting a program. In a container or chroot there may be little to see; that is no fault.
 * @param root stands for `/`, for tests
 * @param system the root of the system that an initrd is for, where it is not the one that runs
 */
export function hostFacts(root: HostPath = hostPath('/'), system = root): HostFacts {
  return {
    devices: busDevices(root, deviceLinks(root)),
    loadedModules: loadedModules(root),
    storage: storageFacts(root, system),
  };
}

function loadedModules(root: HostPath): readonly string[] {
  const text = readText(`${root}/proc/modules`) ?? '';
  return text
    .split('\n')
    .map((line) => line.slice(0, Math.max(0, line.indexOf(' '))))
    .filter((name) => name !== '')
    .sort();
}
