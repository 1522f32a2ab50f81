import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hostPath } from '../../../../src/base/brand.ts';
import type { TemporaryDirectory } from '../../../../src/base/temporary.ts';
import { temporaryDirectory } from '../../../../src/base/temporary.ts';
import { hostFacts } from '../../../../src/initrd/host/facts.ts';
import { parseMountinfo } from '../../../../src/initrd/host/mounts.ts';
import type { Nodes } from '../machine.ts';
import { blockDevice, sampleMachine, writeNodes } from '../machine.ts';

let machine: TemporaryDirectory;
beforeEach(async () => {
  machine = await temporaryDirectory('/tmp', 'mkimg-machine-');
});
afterEach(() => machine[Symbol.asyncDispose]());

async function factsOf(nodes: Nodes) {
  await writeNodes(machine.path, nodes);
  return hostFacts(machine.path);
}

describe('hostFacts', () => {
  it('reads devices with their aliases, drivers and suppliers', async () => {
    const { devices, loadedModules } = await factsOf(sampleMachine);
    expect(devices).toEqual([
      {
        ...{ path: 'devices/pci0000:00/0000:00:02.0', modalias: 'pci:v00001AF4d00001042' },
        suppliers: [],
      },
      {
        ...{ path: 'devices/pci0000:00/0000:00:02.0/virtio0', modalias: 'virtio:d00000002v00001AF4' },
        suppliers: [],
      },
      {
        ...{ path: 'devices/pci0000:00/0000:00:03.0', modalias: 'pci:v00008086d00002922', module: 'ahci' },
        suppliers: ['devices/platform/odd-regulator'],
      },
      {
        ...{ path: 'devices/pci0000:00/0000:00:04.0', modalias: 'pci:v000010DEd00001234', module: 'nouveau' },
        suppliers: [],
      },
      { path: 'devices/platform/odd-regulator', module: 'odd_regulator', suppliers: [] },
      { path: 'devices/system/cpu/cpu0', modalias: 'cpu:type:x86', suppliers: [] },
    ]);
    expect(loadedModules).toEqual(['nouveau', 'odd_regulator']);
  });

  it('counts what another system has in its fstab besides what is mounted here', async () => {
    await writeNodes(machine.path, {
      ...sampleMachine,
      'other/etc/fstab': 'LABEL=root / xfs defaults 0 1\nLABEL=data /srv ext3 defaults 0 2\n',
    });
    const { storage } = hostFacts(machine.path, hostPath(`${machine.path}/other`));
    expect(storage.fileSystems).toContainEqual({ mountPoint: '/', type: 'xfs', devices: [] });
    expect(storage.fileSystems).toContainEqual({ mountPoint: '/', type: 'ext4', devices: ['dm-1'] });
    expect(storage.fileSystems.map(({ type }) => type)).not.toContain('ext3');
  });

  it('follows the storage down to the hardware', async () => {
    const { storage } = await factsOf(sampleMachine);
    expect(storage.fileSystems).toEqual([
      { mountPoint: '/', type: 'ext4', devices: ['dm-1'] },
      { mountPoint: '/boot/efi', type: 'vfat', devices: ['vda1'] },
      { mountPoint: '/usr', type: 'squashfs', devices: [] },
    ]);
    const root = ['/', 'swap'];
    expect(storage.layers).toMatchObject([
      { name: 'dm-0', mapper: 'LVM', below: root },
      { name: 'dm-1', mapper: 'CRYPT', below: root },
      { name: 'md0', arrayLevel: 'raid1', below: root },
      { name: 'sda', below: root },
      { name: 'vda', below: ['/', '/boot/efi', 'swap'] },
    ]);
  });

  it('knows all devices of a btrfs file system', async () => {
    const { storage } = await factsOf({
      ...blockDevice('devices/a/block/sda', '8:0'),
      ...blockDevice('devices/b/block/sdb', '8:16'),
      'sys/fs/btrfs/uuid/devices/sda': '-> sys/devices/a/block/sda',
      'sys/fs/btrfs/uuid/devices/sdb': '-> sys/devices/b/block/sdb',
      'dev/sda': '',
      'proc/self/mountinfo': '1 0 0:35 /@ / rw - btrfs /dev/sda rw,subvol=/@\n',
    });
    expect(storage.layers.map(({ name }) => name)).toEqual(['sda', 'sdb']);
  });

  it.each<readonly [string, Nodes]>([
    ['nothing', {}],
    ['no sysfs', { 'proc/self/mountinfo': '1 0 0:35 / / rw - overlay overlay rw\n' }],
    [
      'links that lead nowhere',
      { 'sys/bus/pci/devices/x': '-> sys/devices/gone', 'sys/class/block/sda': '-> gone' },
    ],
  ])('is content where there is %s', async (_what, nodes) => {
    const facts = await factsOf(nodes);
    expect(facts.devices).toEqual([]);
    expect(facts.storage.layers).toEqual([]);
    expect(facts.loadedModules).toEqual([]);
  });

  it('ends where devices stand on each other in a circle', async () => {
    const { storage } = await factsOf({
      ...blockDevice('devices/virtual/block/dm-0', '253:0', { 'slaves/dm-1': '' }),
      ...blockDevice('devices/virtual/block/dm-1', '253:1', { 'slaves/dm-0': '' }),
      'proc/self/mountinfo': '1 0 253:0 / / rw - ext4 /dev/dm-0 rw\n',
    });
    expect(storage.layers.map(({ name }) => name)).toEqual(['dm-0', 'dm-1']);
  });

  it('reads the machine that it runs on', () => {
    const { storage } = hostFacts(hostPath('/'));
    expect(storage.fileSystems.map(({ mountPoint }) => mountPoint)).toContain('/');
  });
});

it('reads mountinfo with optional tags and escaped white space', () => {
  const line = '36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:2 - ext3 /dev/my\\040root rw\n';
  expect(parseMountinfo(line)).toEqual([
    { number: '98:0', mountPoint: '/mnt 2', type: 'ext3', source: '/dev/my root' },
  ]);
});
