import { cp, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import type { ArchitectureName } from '../../src/distro/architectures/index.ts';
import { architectures } from '../../src/distro/architectures/index.ts';
import { textCredential } from '../../src/qemu/credentials.ts';
import { commandLineRoom } from '../../src/qemu/disk-files.ts';
import { machineFor } from '../../src/qemu/machines/index.ts';
import { buildDisk } from '../../src/steps/build-disk.ts';
import { buildGrub } from '../../src/steps/build-grub.ts';
import { makeFileSystem } from '../../src/steps/make-file-system.ts';
import type { DiskBench } from '../helpers/disk-bench.ts';
import { diskBench } from '../helpers/disk-bench.ts';
import { bootForeign, foreignGuest, kernelArchitecture } from '../helpers/foreign-guest.ts';

let directory: TemporaryDirectory;
beforeAll(async () => {
  directory = await temporaryDirectory('/var/tmp', 'mkimg-architectures-');
});
afterAll(() => directory[Symbol.asyncDispose]());

const grubPackages: Partial<Record<ArchitectureName, readonly string[]>> = {
  'ppc64-le': ['grub-ieee1275-bin'],
  'x86-64': ['grub-pc-bin'],
};

const platforms = [
  { architecture: 's390x', loader: 'zipl' },
  { architecture: 'ppc64-le', loader: 'grub-ieee1275', platform: 'powerpc-ieee1275' },
  { architecture: 'x86-64', loader: 'grub-pc', platform: 'i386-pc' },
] as const;

describe('a disk without UEFI', () => {
  let bench: DiskBench;
  beforeAll(async () => {
    bench = await diskBench();
  });
  afterAll(() => bench[Symbol.asyncDispose]());

  it.each(platforms)('boots by $loader on $architecture', async (row) => {
    const { architecture, loader } = row;
    const guest = await foreignGuest(architecture, directory.path, grubPackages[architecture]);
    const place = (name: string): HostPath => hostPath(join(bench.directory, `${architecture}-${name}`));
    const files = async (name: string, source: HostPath) => {
      await mkdir(place(name));
      await cp(source, join(place(name), `7.0.${name === 'kernels' ? 'vmlinuz' : 'initrd'}`));
      return { directory: place(name), names: await readdir(place(name)), meta: null };
    };
    const tree = { root: bench.root };
    const seed = '11111111-2222-3333-4444-555555555556';
    const epoch = 1_700_000_000;
    const label = `root-${architecture}`;
    await makeFileSystem.run(
      { tree, withoutBoot: true, label, seed, epoch },
      place('root.ext4'),
      await bench.newContext(),
    );
    const grub = place('grub');
    if ('platform' in row) {
      const inputs = { tree: { root: guest.root }, platform: row.platform };
      await buildGrub.run(inputs, grub, await bench.newContext());
    }
    const { console } = machineFor(architecture);
    const image = place('disk.raw');
    await buildDisk.run(
      {
        ...{ tree, architecture, seed, epoch },
        rootFileSystem: { path: place('root.ext4'), meta: null },
        platformBoot: {
          loader,
          kernels: await files('kernels', guest.kernel),
          initrds: await files('initrds', guest.initrd),
          commandLine: [`console=${console}`, 'panic=-1', 'quoted="a  b"'],
          ...(loader === 'zipl' ? {} : { grub: { directory: grub, names: await readdir(grub), meta: null } }),
        },
        ...{ definitions: [], sectorSize: 512, bootLoader: false },
      },
      image,
      await bench.newContext(),
    );
    const machine = machineFor(architecture);
    const { uname, commandLine } = await bootForeign(
      architecture,
      {
        disks: [{ id: 'mkimg', path: image, device: 'virtio-blk', discardWrites: true, bootIndex: 1 }],
        commandLineDisk: { id: 'mkimg', room: commandLineRoom(image, { machine }) ?? 0 },
        commandLine: ['for-a-copy'],
        credentials: [textCredential('a.name-that-is-too-long-for-fw-cfg', 'x')],
      },
      directory.path,
    );
    expect(uname).toBe(architectures[kernelArchitecture(architecture)].uname);
    expect(commandLine).toMatch(/root=PARTUUID=[0-9a-f-]{36} rw /);
    expect(commandLine).toMatch(/ console=\S+ panic=-1 "?quoted="?a {2}b"/);
    const hasSmbios = machine.channels.smbios === 'always';
    const credential = hasSmbios
      ? ''
      : ' systemd.set_credential_binary=a.name-that-is-too-long-for-fw-cfg:eA==';
    expect(commandLine?.trimEnd().endsWith(`for-a-copy${credential}`)).toBe(true);
  });
});
