import { basename } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { byBytes } from '../../base/canonical.ts';
import { namesIn, readText, realPathBelow } from './files.ts';
import type { MountedFileSystem } from './mounts.ts';
import { mountedForBoot } from './mounts.ts';

/** One block device on the way from a file system down to the hardware. */
export interface BlockLayer {
  /** Name in /sys/block: `vda`, `dm-0`, `md127`. */
  readonly name: string;
  /** Relative to /sys. */
  readonly path: string;
  /** The word before the first `-` of the device mapper's UUID: `CRYPT`, `LVM`, `mpath`. */
  readonly mapper?: string;
  /** `raid1`, `raid5`, `linear` ... of an array. */
  readonly arrayLevel?: string;
  /** Whom it serves: mount points, or `swap`. */
  readonly below: readonly string[];
}

export interface StorageFacts {
  readonly fileSystems: readonly MountedFileSystem[];
  /** Sorted by name. */
  readonly layers: readonly BlockLayer[];
}

/**
 * What is below the file systems that a boot needs, and below swap, which a hibernated system resumes from.
 * @param system whose fstab counts, where it is not the one that runs
 */
export function storageFacts(root: HostPath, system = root): StorageFacts {
  const fileSystems = mountedForBoot(root, system);
  const layers = new Map<string, BlockLayer>();
  for (const { mountPoint, devices } of [...fileSystems, ...swapAreas(root)])
    for (const device of devices) addLayers(root, { device, below: mountPoint, layers });
  return { fileSystems, layers: [...layers.values()].sort((left, right) => byBytes(left.name, right.name)) };
}

function swapAreas(root: HostPath): readonly Pick<MountedFileSystem, 'mountPoint' | 'devices'>[] {
  const lines = (readText(`${root}/proc/swaps`) ?? '').split('\n').slice(1);
  return lines.flatMap((line) => {
    const [file, type] = line.split(/\s+/);
    // Memory compressed into itself holds nothing over a reboot.
    if (file === undefined || type !== 'partition' || /\/zram\d+$/.test(file)) return [];
    return [{ mountPoint: 'swap', devices: [blockName(root, file)] }];
  });
}

/** Name in /sys/class/block of a device node, which may be a link such as /dev/mapper/root. */
function blockName(root: HostPath, node: string): string {
  const real = realPathBelow(root, `${root}${node}`);
  return basename(real ?? node);
}

interface Descent {
  readonly device: string;
  readonly below: string;
  readonly layers: Map<string, BlockLayer>;
}

function addLayers(root: HostPath, { device, below, layers }: Descent): void {
  const found = realPathBelow(`${root}/sys`, `${root}/sys/class/block/${device}`);
  if (found === undefined) return;
  const isPartition = readText(`${root}/sys/${found}/partition`) !== undefined;
  const path = isPartition ? found.slice(0, found.lastIndexOf('/')) : found;
  const name = basename(path);
  const known = layers.get(name);
  if (known?.below.includes(below) === true) return;
  const directory = `${root}/sys/${path}`;
  const users = [...(known?.below ?? []), below].sort(byBytes);
  layers.set(name, { name, path, ...layerKind(directory), below: users });
  for (const slave of namesIn(`${directory}/slaves`)) addLayers(root, { device: slave, below, layers });
}

function layerKind(directory: string): Pick<BlockLayer, 'mapper' | 'arrayLevel'> {
  const mapper = readText(`${directory}/dm/uuid`)?.split('-', 1)[0]?.trim() ?? '';
  const arrayLevel = readText(`${directory}/md/level`)?.trim() ?? '';
  return { ...(mapper === '' ? {} : { mapper }), ...(arrayLevel === '' ? {} : { arrayLevel }) };
}
