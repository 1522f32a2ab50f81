import { basename } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { namesIn, readText, realPathBelow } from './files.ts';

/** A file system that the initrd, or the boot loader's update, has to do with. */
export interface MountedFileSystem {
  readonly mountPoint: string;
  /** As the kernel names it: `ext4`, `vfat`, `nfs4`. */
  readonly type: string;
  /** Names in /sys/class/block; several for btrfs over several devices, none for what is on no device. */
  readonly devices: readonly string[];
}

/** What the initrd mounts, and the boot partitions, which rescue work in it wants to reach. */
const mountPointsForBoot: ReadonlySet<string> = new Set(['/', '/usr', '/boot', '/boot/efi', '/efi']);

/**
 * Mounted file systems, and those that /etc/fstab has for the same places but that are not mounted now.
 * @param system where another system has its fstab, which then counts besides what is mounted
 */
export function mountedForBoot(root: HostPath, system = root): readonly MountedFileSystem[] {
  const planned = plannedForBoot(system);
  if (system !== root) return [...mountedForBoot(root), ...planned];
  const found = new Map(planned.map((entry) => [entry.mountPoint, entry]));
  for (const mount of parseMountinfo(readText(`${root}/proc/self/mountinfo`) ?? '')) {
    const { mountPoint, type } = mount;
    // The kernel lists mounts in their order: the last one at a place covers the others. An automount is no file system yet.
    if (!mountPointsForBoot.has(mountPoint) || type === 'autofs') continue;
    found.set(mountPoint, { mountPoint, type, devices: devicesOf(root, mount) });
  }
  return [...found.values()].sort((left, right) => (left.mountPoint < right.mountPoint ? -1 : 1));
}

function plannedForBoot(system: HostPath): readonly MountedFileSystem[] {
  return fstabEntries(readText(`${system}/etc/fstab`) ?? '')
    .filter(({ mountPoint, type }) => mountPointsForBoot.has(mountPoint) && type !== 'auto')
    .map((entry) => ({ ...entry, devices: [] }));
}

interface FstabEntry {
  readonly mountPoint: string;
  readonly type: string;
}

function fstabEntries(text: string): readonly FstabEntry[] {
  return text.split('\n').flatMap((line) => {
    const [source, mountPoint, type] = line.trim().split(/\s+/);
    if (source === undefined || source.startsWith('#') || mountPoint === undefined || type === undefined)
      return [];
    return [{ mountPoint: unescaped(mountPoint).replace(/(.)\/+$/, '$1'), type }];
  });
}

interface Mount {
  readonly mountPoint: string;
  readonly type: string;
  readonly source: string;
  /** `major:minor`; 0:N for file systems that are on no single device. */
  readonly number: string;
}

/** Reads mountinfo (proc_pid_mountinfo(5)): `ID PARENT MAJ:MIN ROOT POINT OPTIONS TAGS... - TYPE SOURCE OPTIONS`. */
export function parseMountinfo(text: string): readonly Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before, after] = line.split(' - ', 2);
    const [, , number, , mountPoint] = (before ?? '').split(' ');
    const [type, source] = (after ?? '').split(' ');
    if (number === undefined || mountPoint === undefined || type === undefined || source === undefined)
      return [];
    return [{ number, mountPoint: unescaped(mountPoint), type, source: unescaped(source) }];
  });
}

/** White space stands in mountinfo and fstab as octal numbers. */
function unescaped(word: string): string {
  return word.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}

function devicesOf(root: HostPath, { number, source, type }: Mount): readonly string[] {
  const byNumber = realPathBelow(`${root}/sys`, `${root}/sys/dev/block/${number}`);
  if (byNumber !== undefined) return [basename(byNumber)];
  if (!source.startsWith('/dev/')) return [];
  const node = realPathBelow(root, `${root}${source}`);
  const name = basename(node ?? source);
  return type === 'btrfs' ? btrfsDevices(root, name) : [name];
}

/** All devices of the btrfs file system that has this one. */
function btrfsDevices(root: HostPath, device: string): readonly string[] {
  const directory = `${root}/sys/fs/btrfs`;
  const all = namesIn(directory).map((id) => namesIn(`${directory}/${id}/devices`));
  return all.find((devices) => devices.includes(device)) ?? [device];
}
