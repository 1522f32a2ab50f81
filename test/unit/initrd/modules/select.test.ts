import { appendFile, mkdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hostPath } from '../../../../src/base/brand.ts';
import type { TemporaryDirectory } from '../../../../src/base/temporary.ts';
import { temporaryDirectory } from '../../../../src/base/temporary.ts';
import type { HostFacts } from '../../../../src/initrd/host/facts.ts';
import { hostFacts } from '../../../../src/initrd/host/facts.ts';
import { segmentFingerprint } from '../../../../src/initrd/modules/segment.ts';
import type { ModuleSelection, SelectionRequest } from '../../../../src/initrd/modules/select.ts';
import { selectForInitrd } from '../../../../src/initrd/modules/select.ts';
import { reasonText } from '../../../../src/steps/kernel-modules/closure.ts';
import { sampleElf } from '../../formats/samples.ts';
import { toolFreeContext } from '../../steps/step-context.ts';
import { sampleMachine, writeNodes } from '../machine.ts';

const version = '6.12.1';
const directory = `usr/lib/modules/${version}`;

/** Path below kernel/ to the paths that it depends on. */
const modules: Readonly<Record<string, readonly string[]>> = {
  'arch/x86/crypto/aesni-intel': [],
  'crypto/essiv': [],
  'drivers/ata/ahci': ['drivers/ata/libata'],
  'drivers/ata/libata': ['drivers/scsi/scsi_mod'],
  'drivers/block/virtio_blk': [],
  'drivers/gpu/drm/nouveau/nouveau': [],
  'drivers/hid/hid-odd': ['drivers/hid/hid'],
  'drivers/hid/hid': [],
  'drivers/md/dm-crypt': ['drivers/md/dm-mod'],
  'drivers/md/dm-mod': [],
  'drivers/md/dm-thin-pool': ['drivers/md/dm-mod'],
  'drivers/md/raid1': ['drivers/md/md-mod'],
  'drivers/md/md-mod': [],
  'drivers/net/ethernet/intel/e1000': [],
  'drivers/nvme/host/nvme': [],
  'drivers/odd/odd_regulator': [],
  'drivers/scsi/scsi_mod': [],
  'drivers/scsi/sd_mod': [],
  'drivers/virtio/virtio_pci': [],
  'fs/ext4/ext4': ['fs/jbd2'],
  'fs/fat/vfat': [],
  'fs/jbd2': [],
  'fs/squashfs/squashfs': [],
  'fs/xfs/xfs': [],
};
const aliases = [
  'alias pci:v00008086d00002922* ahci',
  'alias pci:v00001AF4d* virtio_pci',
  'alias virtio:d00000002v* virtio_blk',
  'alias pci:v000010DEd* nouveau',
  'alias cpu:type:x86* aesni_intel',
  'alias fs-ext4 ext4',
  'alias fs-vfat vfat',
  'alias fs-squashfs squashfs',
  'alias crypto-aes aesni_intel',
  'alias crypto-essiv essiv',
];

let tree: TemporaryDirectory;
let scratch: TemporaryDirectory;
let host: HostFacts;
beforeEach(async () => {
  tree = await temporaryDirectory('/tmp', 'mkimg-tree-');
  scratch = await temporaryDirectory('/tmp', 'mkimg-select-');
  for (const path of Object.keys(modules)) await write(`${directory}/kernel/${path}.ko`, moduleOf(''));
  const lines = Object.entries(modules).map(
    ([path, needs]) => `kernel/${path}.ko:${needs.map((need) => ` kernel/${need}.ko`).join('')}\n`,
  );
  await write(`${directory}/modules.dep`, lines.join(''));
  await write(`${directory}/modules.alias`, aliases.map((line) => `${line}\n`).join(''));
  await write(`${directory}/modules.weakdep`, 'weakdep ext4 xfs\n');
  const machine = join(scratch.path, 'machine');
  await writeNodes(hostPath(machine), sampleMachine);
  host = hostFacts(hostPath(machine));
});
afterEach(async () => {
  await tree[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
});

function moduleOf(text: string): Buffer {
  return sampleElf({ name: '.modinfo', content: Buffer.from(text) });
}

async function write(path: string, content: string | Buffer = ''): Promise<void> {
  await mkdir(dirname(join(tree.path, path)), { recursive: true });
  await writeFile(join(tree.path, path), content);
}

async function select(wish: Partial<SelectionRequest>): Promise<ModuleSelection> {
  const { context } = await toolFreeContext(scratch.path);
  const request = { root: tree.path, kernelVersion: version, patterns: [], profiles: [], host } as const;
  return selectForInitrd({ ...request, mode: 'host', ...wish }, context);
}

function reasons({ modules: selected }: ModuleSelection): Readonly<Record<string, string>> {
  return Object.fromEntries(
    selected.map((entry) => [entry.module.name, entry.reasons.map(reasonText).join('; ')]),
  );
}

describe('selectForInitrd', () => {
  it('takes for a host what its devices and its storage need, and says why', async () => {
    const found = reasons(await select({ mode: 'host' }));
    const ahci = 'devices/pci0000:00/0000:00:03.0';
    expect(found).toMatchObject({
      ahci: `modalias pci:v00008086d00002922 of ${ahci}`,
      libata: 'dependency of ahci',
      odd_regulator: `driver of devices/platform/odd-regulator, which ${ahci} needs`,
      virtio_blk: 'modalias virtio:d00000002v00001AF4 of devices/pci0000:00/0000:00:02.0/virtio0',
      dm_crypt: 'dm-1 below /, swap',
      dm_thin_pool: 'dm-0 below /, swap',
      essiv: 'hidden dependency of dm_crypt: a volume names its ciphers when it is opened',
      ext4: 'file system ext4 of /',
      vfat: 'file system vfat of /boot/efi',
      xfs: 'weakdep of ext4',
      raid1: 'dm-0 below /, swap; md0 below /, swap',
    });
    expect(found['sd_mod']).toContain('hidden dependency of scsi_mod');
    for (const absent of ['nouveau', 'nvme', 'hid_odd', 'e1000']) expect(found[absent]).toBeUndefined();
  });

  it('adds what lets a disk move', async () => {
    const found = reasons(await select({ mode: 'host-plus' }));
    expect(found['nvme']).toBe('survives a move: disks');
    expect(found['hid_odd']).toBe('survives a move: keyboards');
    expect(found['nouveau']).toBeUndefined();
  });

  it('knows the generic set, which does not depend on the machine', async () => {
    const generic = await select({ mode: 'generic' });
    expect(reasons(generic)).toEqual(reasons(await select({ mode: 'generic', host: undefined })));
    expect(Object.keys(reasons(generic))).toEqual(expect.arrayContaining(['nvme', 'xfs', 'ahci']));
    expect(reasons(generic)['e1000']).toBeUndefined();
  });

  it('falls back to the generic set where the machine tells nothing', async () => {
    const nothing: HostFacts = { devices: [], loadedModules: [], storage: { fileSystems: [], layers: [] } };
    const fallen = await select({ mode: 'host', host: nothing });
    expect(fallen.mode).toBe('generic');
    expect(reasons(fallen)).toEqual(reasons(await select({ mode: 'generic' })));
    expect((await select({ mode: 'host', host: undefined })).mode).toBe('generic');
  });

  it('lets patterns decide over the mode, but not over what is needed', async () => {
    const found = reasons(await select({ patterns: ['default', 'e1000', '-raid1', '-libata'] }));
    expect(found).toMatchObject({ e1000: 'pattern e1000', libata: 'dependency of ahci' });
    expect(found['raid1']).toBeUndefined();
    expect(Object.keys(reasons(await select({ patterns: ['e1000'] })))).toEqual(['e1000']);
    expect(reasons(await select({ patterns: ['-e1000'] }))).toEqual(reasons(await select({})));
    expect(reasons(await select({ patterns: ['host'] }))).toEqual({
      nouveau: 'loaded on this machine',
      odd_regulator: 'loaded on this machine',
    });
  });

  it('takes of the drivers of a profile those that the machine has devices for', async () => {
    const profiles = [{ name: 'network', patterns: ['drivers/net/ethernet/', 'drivers/gpu/', 'xfs'] }];
    const found = reasons(await select({ profiles }));
    expect(found['nouveau']).toContain('modalias pci:v000010DEd00001234');
    expect(found['e1000']).toBeUndefined();
    expect(found['xfs']).toContain('pattern xfs of profile network');
    expect(reasons(await select({ profiles, mode: 'generic' }))['e1000']).toContain('of profile network');
  });

  it('reads the binary index where it is, and makes the same of the text', async () => {
    const fromText = reasons(await select({}));
    await write(`${directory}/modules.alias.bin`, 'damaged');
    await expect(select({})).rejects.toMatchObject({ code: 'bad-module-index' });
    await rm(join(tree.path, directory, 'modules.alias.bin'));
    expect(reasons(await select({}))).toEqual(fromText);
  });

  it('is content with a kernel without modules', async () => {
    await write('usr/lib/modules/6.0/modules.builtin', 'kernel/fs/ext4/ext4.ko\n');
    const { modules: none, builtin, firmware } = await select({ kernelVersion: '6.0' });
    expect({ none, builtin, firmware }).toEqual({ none: [], builtin: ['ext4'], firmware: [] });
  });

  it('asks for depmod where there is no index', async () => {
    await rm(join(tree.path, directory, 'modules.dep'));
    await expect(select({})).rejects.toMatchObject({
      code: 'no-module-index',
      hint: expect.stringContaining(`depmod ${version}`) as string,
    });
  });

  it('reports a module that the index names and that is not there', async () => {
    await rm(join(tree.path, directory, 'kernel/fs/ext4/ext4.ko'));
    await expect(select({})).rejects.toMatchObject({ code: 'module-missing' });
  });
});

describe('firmware of a selection', () => {
  const firmware = 'usr/lib/firmware';
  const only = { patterns: ['nvme'] };
  const nvme = `${directory}/kernel/drivers/nvme/host/nvme.ko`;
  const paths = ({ firmware: found }: ModuleSelection) =>
    found.map(({ path }) => path.slice(firmware.length + 1));

  beforeEach(async () => {
    await symlink('usr/lib', join(tree.path, 'lib'));
    await write(nvme, moduleOf('firmware=a.bin\0firmware=x/*.fw\0firmware=gone.bin\0'));
  });

  it('is there with those who asked, and what is missing is listed', async () => {
    await write(`${firmware}/a.bin`);
    const { firmware: found, missingFirmware } = await select(only);
    expect(found).toMatchObject([{ path: `${firmware}/a.bin`, requestedBy: ['nvme'] }]);
    expect(missingFirmware).toEqual([
      { name: 'gone.bin', requestedBy: ['nvme'] },
      { name: 'x/*.fw', requestedBy: ['nvme'] },
    ]);
  });

  it('is asked for by what is built in, too', async () => {
    await write(`${firmware}/b.bin.zst`);
    await write(`${directory}/modules.builtin.modinfo`, 'xhci.firmware=b.bin\0');
    expect(await select(only)).toMatchObject({
      firmware: [{ path: `${firmware}/b.bin.zst`, requestedBy: ['xhci'] }],
    });
  });

  it.each([
    [['a.bin', 'a.bin.zst', 'a.bin.xz'], ['a.bin']],
    [['a.bin.xz', 'a.bin.zst'], ['a.bin.zst']],
    [['a.bin', 'updates/a.bin'], ['updates/a.bin']],
    [['a.bin', `${version}/a.bin`], [`${version}/a.bin`]],
    [['updates/a.bin', `updates/${version}/a.bin`], [`updates/${version}/a.bin`]],
    // The kernel looks for the plain name everywhere before it looks for compressed ones.
    [['a.bin', 'updates/a.bin.zst'], ['a.bin']],
    [
      ['x/1.fw', 'x/2.fw.xz', 'x/3.other', 'x/.4.fw', 'x/y/5.fw'],
      ['x/.4.fw', 'x/1.fw', 'x/2.fw.xz'],
    ],
  ])('is taken of %j as the kernel does: %j', async (there, expected) => {
    for (const path of there) await write(`${firmware}/${path}`);
    expect(paths(await select(only))).toEqual(expected);
  });

  it('brings each link on its way, and never leaves the tree', async () => {
    await write(`${firmware}/real/1.fw`);
    await symlink('real', join(tree.path, firmware, 'x'));
    await symlink('b.bin', join(tree.path, firmware, 'a.bin'));
    await symlink('/lib/firmware/c.bin', join(tree.path, firmware, 'b.bin'));
    await symlink('../../../../../../../etc/hostname', join(tree.path, firmware, 'c.bin'));
    await write('etc/hostname', 'of the tree');
    const found = await select(only);
    expect(paths(found)).toEqual(['a.bin', 'b.bin', 'c.bin', 'real/1.fw', 'x']);
    const copy = found.firmware.find(({ path }) => path.endsWith('c.bin'))?.item;
    expect(copy).toMatchObject({
      kind: 'file',
      content: { file: Buffer.from(join(tree.path, 'etc/hostname')) },
    });
  });

  it('is not found behind links in a circle', async () => {
    await mkdir(join(tree.path, firmware));
    await symlink('b.bin', join(tree.path, firmware, 'a.bin'));
    await symlink('a.bin', join(tree.path, firmware, 'b.bin'));
    expect(paths(await select(only))).toEqual([]);
  });

  it('is remembered until the module changes', async () => {
    await write(`${firmware}/a.bin`);
    await write(`${firmware}/b.bin`);
    const memory = hostPath(join(scratch.path, 'memory'));
    const ask = async () => paths(await select({ ...only, memory }));
    expect(await ask()).toEqual(['a.bin']);
    expect(await ask()).toEqual(['a.bin']);
    await write(nvme, moduleOf('firmware=b.bin\0firmware=x/*.fw\0firmware=gone.bin\0'));
    expect(await ask()).toEqual(['b.bin']);
    await writeFile(join(memory, `firmware-of-${version}.json`), '{ damaged');
    expect(await ask()).toEqual(['b.bin']);
  });

  it.each([
    ['is damaged', nvme],
    ['is compressed in an unknown way', `${nvme}.lz4`],
  ])('cannot be told of a module that %s', async (_what, path) => {
    await write(`${firmware}/a.bin`);
    await write(path, 'no module');
    await write(`${directory}/modules.dep`, `${path.slice(directory.length + 1)}:\n`);
    await expect(select({ patterns: ['nvme*'] })).rejects.toMatchObject({ code: 'bad-module' });
  });
});

describe('segmentFingerprint', () => {
  it('changes with what is in the segment, and with nothing else', async () => {
    const before = segmentFingerprint(await select({}), 7);
    expect(segmentFingerprint(await select({}), 7)).toBe(before);
    expect(segmentFingerprint(await select({}), 8)).not.toBe(before);
    await appendFile(join(tree.path, directory, 'kernel/fs/xfs/xfs.ko'), 'more');
    const changed = segmentFingerprint(await select({}), 7);
    expect(changed).not.toBe(before);
    await utimes(join(tree.path, directory, 'modules.dep'), 1, 1);
    expect(segmentFingerprint(await select({}), 7)).not.toBe(changed);
  });
});
