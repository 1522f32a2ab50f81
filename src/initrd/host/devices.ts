import { basename } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { byBytes } from '../../base/canonical.ts';
import { moduleName } from '../../formats/kmod.ts';
import { namesIn, readLink, readText, realPathBelow } from './files.ts';

/** A device that a driver may be needed for. */
export interface HostDevice {
  /** Relative to /sys: `devices/pci0000:00/0000:00:04.0`. */
  readonly path: string;
  readonly modalias?: string;
  /** The module behind its driver, where it is bound to one; may be built in. */
  readonly module?: string;
  /** Paths of devices that must be there before it works: regulators, clocks, PHYs (device links). */
  readonly suppliers: readonly string[];
}

/** Large buses whose devices never need a module. */
const silentBuses: ReadonlySet<string> = new Set([
  ...[
    'clockevents',
    'clocksource',
    'container',
    'event_source',
    'machinecheck',
    'memory',
    'memory_tiering',
    'node',
  ],
  'workqueue',
]);
/** Classes whose devices have aliases although they are on no bus. */
const aliasedClasses = ['dmi', 'input'] as const;

/** Consumer to suppliers, as paths relative to /sys. */
export function deviceLinks(root: HostPath): ReadonlyMap<string, readonly string[]> {
  const links = new Map<string, string[]>();
  for (const name of namesIn(`${root}/sys/class/devlink`)) {
    const link = `${root}/sys/class/devlink/${name}`;
    const consumer = realPathBelow(`${root}/sys`, `${link}/consumer`);
    const supplier = realPathBelow(`${root}/sys`, `${link}/supplier`);
    if (consumer === undefined || supplier === undefined) continue;
    const known = links.get(consumer);
    if (known === undefined) links.set(consumer, [supplier]);
    else known.push(supplier);
  }
  return links;
}

/** Everything on a bus that has a driver, an alias or suppliers, each device once. */
export function busDevices(
  root: HostPath,
  links: ReadonlyMap<string, readonly string[]>,
): readonly HostDevice[] {
  const buses = namesIn(`${root}/sys/bus`).filter((bus) => !silentBuses.has(bus));
  const moduleOf = driverModules(root);
  const found = [
    ...buses.flatMap((bus) =>
      devicesIn(`${root}/sys/bus/${bus}/devices`).map((device) => ({
        ...device,
        module: device.driver === undefined ? undefined : moduleOf(bus, device.driver),
      })),
    ),
    ...aliasedClasses.flatMap((name) =>
      devicesIn(`${root}/sys/class/${name}`).map((device) => ({ ...device, module: undefined })),
    ),
  ];
  const devices = new Map<string, HostDevice>();
  for (const { path, modalias, module } of withOneOfEachProcessor(found)) {
    const suppliers = [...(links.get(path) ?? [])].sort(byBytes);
    if (modalias === undefined && module === undefined && suppliers.length === 0) continue;
    const known = {
      ...(modalias === undefined ? {} : { modalias }),
      ...(module === undefined ? {} : { module }),
    };
    devices.set(path, { path, ...known, suppliers });
  }
  return [...devices.values()].sort((left, right) => byBytes(left.path, right.path));
}

/** All processors are alike; a large machine has some hundred. */
function withOneOfEachProcessor<T extends FoundDevice>(devices: readonly T[]): readonly T[] {
  const seen = new Set<string>();
  return devices.filter(({ modalias }) => {
    if (modalias?.startsWith('cpu:') !== true) return true;
    return seen.size !== seen.add(modalias).size;
  });
}

interface FoundDevice {
  readonly path: string;
  readonly modalias: string | undefined;
  readonly driver: string | undefined;
}

function devicesIn(directory: string): readonly FoundDevice[] {
  return namesIn(directory).flatMap((name) => {
    // Both facts stand in one file, so that a device costs two system calls.
    const uevent = readText(`${directory}/${name}/uevent`);
    const link = readLink(`${directory}/${name}`);
    if (uevent === undefined || link === undefined) return [];
    const [modalias, driver] = [/^MODALIAS=(.+)$/m, /^DRIVER=(.+)$/m].map((line) => line.exec(uevent)?.[1]);
    return [{ path: link.replace(/^(\.\.\/)+/, ''), modalias, driver }];
  });
}

function driverModules(root: HostPath): (bus: string, driver: string) => string | undefined {
  const known = new Map<string, string | undefined>();
  return (bus, driver) => {
    const key = `${bus}/drivers/${driver}`;
    if (!known.has(key)) {
      const target = readLink(`${root}/sys/bus/${key}/module`);
      known.set(key, target === undefined ? undefined : moduleName(basename(target)));
    }
    return known.get(key);
  };
}
