import type { KernelModule } from '../../formats/kmod.ts';
import type { ModuleReason, SelectedModule } from '../../steps/kernel-modules/closure.ts';
import { modulesNamed } from '../../steps/kernel-modules/closure.ts';
import type { ModulePattern } from '../../steps/kernel-modules/patterns.ts';
import { matchedPath } from '../../steps/kernel-modules/patterns.ts';
import { lastMatch } from '../../steps/kernel-modules/select.ts';
import type { HostDevice } from '../host/devices.ts';
import type { HostFacts } from '../host/facts.ts';
import type { BlockLayer } from '../host/storage.ts';
import type { KernelIndexes } from './kernel-indexes.ts';

/** True when enough is known of the machine to leave out what it does not need. */
export function isHostKnown({ storage, devices }: HostFacts): boolean {
  return storage.layers.length > 0 && devices.some(({ modalias }) => modalias !== undefined);
}

/**
 * The modules that this machine needs until its root file system is mounted.
 * @param drivers which drivers of its devices count
 */
export function hostModules(
  host: HostFacts,
  indexes: KernelIndexes,
  drivers: readonly ModulePattern[],
): readonly SelectedModule[] {
  const counts = rememberedMatch(drivers);
  const onTheWay = devicesBelow(host);
  const found: SelectedModule[] = [];
  for (const device of host.devices) {
    const isOnTheWay = onTheWay.has(device.path);
    for (const selected of deviceModules(device, indexes))
      if (isOnTheWay || counts(selected.module)) found.push(selected);
  }
  return [...found, ...supplierModules(host, indexes, { found, onTheWay }), ...storageModules(host, indexes)];
}

function rememberedMatch(patterns: readonly ModulePattern[]): (module: KernelModule) => boolean {
  const known = new Map<string, boolean>();
  return ({ path }) => {
    const answer = known.get(path) ?? lastMatch(patterns, matchedPath(path))?.exclude === false;
    known.set(path, answer);
    return answer;
  };
}

/** Paths of the devices that the disks hang on. */
function devicesBelow({ storage }: HostFacts): ReadonlySet<string> {
  const paths = new Set<string>();
  for (const { path } of storage.layers)
    for (let here = path; here.includes('/'); here = here.slice(0, here.lastIndexOf('/'))) paths.add(here);
  return paths;
}

function deviceModules(
  { path, modalias, module }: HostDevice,
  indexes: KernelIndexes,
): readonly SelectedModule[] {
  const byAlias = modalias === undefined ? [] : indexes.namesByAlias(modalias);
  const reasons: readonly (readonly [string, ModuleReason])[] = [
    ...byAlias.map((name) => [name, { kind: 'modalias', modalias: modalias ?? '', device: path }] as const),
    ...(module === undefined || byAlias.includes(module)
      ? []
      : [[module, { kind: 'driver', device: path }] as const]),
  ];
  return reasons.flatMap(([name, reason]) =>
    modulesNamed(name, indexes).map((found) => ({ module: found, reasons: [reason] })),
  );
}

interface Chosen {
  readonly found: readonly SelectedModule[];
  readonly onTheWay: ReadonlySet<string>;
}

/** Drivers of what chosen devices depend on, whatever kind they are of, and of what those depend on. */
function supplierModules(
  { devices }: HostFacts,
  indexes: KernelIndexes,
  { found, onTheWay }: Chosen,
): readonly SelectedModule[] {
  const byPath = new Map(devices.map((device) => [device.path, device]));
  const chosen = found.flatMap(({ reasons }) => reasons.flatMap((reason) => deviceOf(reason)));
  const queue = [...new Set([...onTheWay, ...chosen])];
  const seen = new Set(queue);
  const suppliers: SelectedModule[] = [];
  // The loop also visits what it appends.
  for (const path of queue) {
    for (const supplier of byPath.get(path)?.suppliers ?? []) {
      if (seen.has(supplier)) continue;
      seen.add(supplier);
      queue.push(supplier);
      const device = byPath.get(supplier);
      if (device === undefined) continue;
      const reasons = [{ kind: 'supplier' as const, of: path, device: supplier }];
      for (const { module } of deviceModules(device, indexes)) suppliers.push({ module, reasons });
    }
  }
  return suppliers;
}

function deviceOf(reason: ModuleReason): readonly string[] {
  return reason.kind === 'modalias' || reason.kind === 'driver' ? [reason.device] : [];
}

function storageModules({ storage }: HostFacts, indexes: KernelIndexes): readonly SelectedModule[] {
  const wanted = [
    ...storage.fileSystems.map(
      ({ type, mountPoint }) => [`fs-${type}`, `file system ${type} of ${mountPoint}`] as const,
    ),
    ...storage.layers.flatMap((layer) =>
      layerModules(layer).map((word) => [word, `${layer.name} below ${layer.below.join(', ')}`] as const),
    ),
  ];
  return wanted.flatMap(([word, what]) =>
    modulesNamed(word, indexes).map((module) => ({ module, reasons: [{ kind: 'storage' as const, what }] })),
  );
}

/** What the device mapper may be asked for by a kind of volume; which of them one has shows only when it is set up. */
const mapperModules: Readonly<Record<string, readonly string[]>> = {
  CRYPT: ['dm-crypt', 'dm-integrity'],
  INTEGRITY: ['dm-integrity'],
  VERITY: ['dm-verity'],
  LVM: [
    ...[
      'dm-mod',
      'dm-mirror',
      'dm-raid',
      'dm-snapshot',
      'dm-thin-pool',
      'dm-cache',
      'dm-writecache',
      'dm-integrity',
    ],
    ...['dm-zero', 'dm-vdo', 'dm-bufio', 'raid0', 'raid1', 'raid10', 'raid456'],
  ],
  mpath: ['dm-multipath'],
  DMRAID: ['dm-raid', 'dm-mirror', 'raid0', 'raid1'],
};

/** Names of md's levels in sysfs to modules; others are called as the level. */
const arrayModules: Readonly<Record<string, readonly string[]>> = {
  raid4: ['raid456'],
  raid5: ['raid456'],
  raid6: ['raid456'],
  // Containers of firmware RAID have no level of their own.
  container: ['raid0', 'raid1', 'raid10', 'raid456'],
};

function layerModules({ name, mapper, arrayLevel }: BlockLayer): readonly string[] {
  const kind = /^[a-z]+/.exec(name)?.[0] ?? name;
  const byName: Readonly<Record<string, readonly string[]>> = {
    dm: ['dm-mod'],
    md: ['md-mod'],
    loop: ['loop'],
    bcache: ['bcache'],
    nbd: ['nbd'],
    rbd: ['rbd'],
    nvme: ['nvme'],
  };
  const array = arrayLevel === undefined ? [] : (arrayModules[arrayLevel] ?? [arrayLevel]);
  return [...(byName[kind] ?? []), ...(mapper === undefined ? [] : (mapperModules[mapper] ?? [])), ...array];
}
