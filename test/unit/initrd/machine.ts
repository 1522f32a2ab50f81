import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { HostPath } from '../../../src/base/brand.ts';

/** Files by path below a root; `-> PATH` makes a symbolic link to that path below the same root, as sysfs has them. */
export type Nodes = Readonly<Record<string, string>>;

export async function writeNodes(root: HostPath, nodes: Nodes): Promise<void> {
  for (const [name, content] of Object.entries(nodes)) {
    const path = join(root, name);
    await mkdir(dirname(path), { recursive: true });
    const target = /^-> (.*)$/.exec(content)?.[1];
    if (target === undefined) await writeFile(path, content);
    else await symlink(relative(dirname(path), join(root, target)), path);
  }
}

/** A device on a bus: its directory and the link to it. */
export function device(bus: string, path: string, uevent: string): Nodes {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return {
    [`sys/${path}/uevent`]: uevent,
    [`sys/bus/${bus}/devices/${name}`]: `-> sys/${path}`,
  };
}

/** A block device and its names in sysfs. */
export function blockDevice(path: string, number: string, more: Nodes = {}): Nodes {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const facts = Object.entries(more).map(([file, content]) => [`sys/${path}/${file}`, content] as const);
  return {
    [`sys/${path}/dev`]: `${number}\n`,
    [`sys/class/block/${name}`]: `-> sys/${path}`,
    [`sys/dev/block/${number}`]: `-> sys/${path}`,
    ...Object.fromEntries<string>(facts),
  };
}

const pci = 'devices/pci0000:00';

/** A virtual machine: LUKS on LVM on RAID1 on two virtio disks, one of them behind a supplier. */
export const sampleMachine: Nodes = {
  ...device('pci', `${pci}/0000:00:02.0`, 'DRIVER=virtio-pci\nMODALIAS=pci:v00001AF4d00001042\n'),
  ...device(
    'virtio',
    `${pci}/0000:00:02.0/virtio0`,
    'DRIVER=virtio_blk\nMODALIAS=virtio:d00000002v00001AF4\n',
  ),
  ...device('pci', `${pci}/0000:00:03.0`, 'DRIVER=ahci\nMODALIAS=pci:v00008086d00002922\n'),
  ...device('pci', `${pci}/0000:00:04.0`, 'DRIVER=nouveau\nMODALIAS=pci:v000010DEd00001234\n'),
  ...device('platform', 'devices/platform/odd-regulator', 'DRIVER=odd\n'),
  ...device('memory', 'devices/system/memory/memory0', 'MODALIAS=nobody:reads:this\n'),
  ...device('cpu', 'devices/system/cpu/cpu0', 'MODALIAS=cpu:type:x86\n'),
  ...device('cpu', 'devices/system/cpu/cpu1', 'MODALIAS=cpu:type:x86\n'),
  'sys/bus/pci/drivers/ahci/module': '-> sys/module/ahci',
  'sys/bus/pci/drivers/nouveau/module': '-> sys/module/nouveau',
  'sys/bus/platform/drivers/odd/module': '-> sys/module/odd_regulator',
  'sys/class/devlink/platform:odd-regulator--pci:0000:00:03.0/consumer': `-> sys/${pci}/0000:00:03.0`,
  'sys/class/devlink/platform:odd-regulator--pci:0000:00:03.0/supplier':
    '-> sys/devices/platform/odd-regulator',
  ...blockDevice(`${pci}/0000:00:02.0/virtio0/block/vda`, '254:0'),
  ...blockDevice(`${pci}/0000:00:02.0/virtio0/block/vda/vda1`, '254:1', { partition: '1\n' }),
  ...blockDevice(`${pci}/0000:00:02.0/virtio0/block/vda/vda2`, '254:2', { partition: '2\n' }),
  ...blockDevice(`${pci}/0000:00:03.0/ata1/host0/target0/block/sda`, '8:0'),
  ...blockDevice('devices/virtual/block/md0', '9:0', {
    'md/level': 'raid1\n',
    'slaves/vda2': '',
    'slaves/sda': '',
  }),
  ...blockDevice('devices/virtual/block/dm-0', '253:0', { 'dm/uuid': 'LVM-abc\n', 'slaves/md0': '' }),
  ...blockDevice('devices/virtual/block/dm-1', '253:1', {
    'dm/uuid': 'CRYPT-LUKS2-def-root\n',
    'slaves/dm-0': '',
  }),
  'dev/dm-1': '',
  'dev/mapper/root': '-> dev/dm-1',
  'proc/self/mountinfo': [
    '22 1 0:40 / / rw - rootfs rootfs rw',
    '23 22 253:1 / / rw,relatime - ext4 /dev/mapper/root rw',
    '24 23 254:1 / /boot/efi rw - vfat /dev/vda1 rw',
    '25 23 0:21 / /proc rw - proc proc rw',
    '26 23 8:9 / /srv/with\\040space rw - xfs /dev/sdz rw',
    '',
  ].join('\n'),
  'proc/modules': 'nouveau 1 0 - Live 0x0\nodd_regulator 1 0 - Live 0x0\n',
  'proc/swaps':
    'Filename Type Size Used Priority\n/dev/mapper/root partition 1 0 -2\n/dev/zram0 partition 1 0 100\n/swapfile file 1 0 -3\n',
  'etc/fstab':
    '# c\nUUID=1 / ext4 defaults 0 1\nUUID=2 /usr/ squashfs defaults 0 1\nUUID=3 /home xfs defaults 0 1\n',
};
