import { cp, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import { silentEvents } from '../../src/base/events.ts';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import type { ArchitectureName } from '../../src/distro/architectures/index.ts';
import { architectureNames, architectures } from '../../src/distro/architectures/index.ts';
import { openSource } from '../../src/formats/bytes.ts';
import { detectKernel } from '../../src/formats/kernel.ts';
import { textCredential } from '../../src/qemu/credentials.ts';
import { commandLineRoom } from '../../src/qemu/disk-files.ts';
import { findFirmware } from '../../src/qemu/firmware.ts';
import { needsFirmware } from '../../src/qemu/machine-request.ts';
import { machineFor } from '../../src/qemu/machines/index.ts';
import type { VmHost, VmRequest } from '../../src/qemu/vm.ts';
import { buildDisk } from '../../src/steps/build-disk.ts';
import { buildGrub } from '../../src/steps/build-grub.ts';
import { makeFileSystem } from '../../src/steps/make-file-system.ts';
import { bareMachine } from '../helpers/bare-machine.ts';
import { startConsoleGuest } from '../helpers/console-guest.ts';
import type { DiskBench } from '../helpers/disk-bench.ts';
import { diskBench } from '../helpers/disk-bench.ts';
import type { ForeignPackages } from '../helpers/foreign-packages.ts';
import { foreignPackages } from '../helpers/foreign-packages.ts';
import { markerInitrd, markerPattern } from '../helpers/marker-initrd.ts';
import { vmTools } from '../helpers/tools.ts';

/** Debian's packages of kernels alone: linux-binary-VERSION-FLAVOUR. */
const flavours: Readonly<Partial<Record<ArchitectureName, RegExp>>> = {
  arm: /-armmp$/,
  'ppc64-le': /-powerpc64le$/,
  loongarch64: /-loong64$/,
};

/** The architecture whose kernels boot this one: its own, or one that also runs its programs. */
function kernelArchitecture(name: ArchitectureName): ArchitectureName {
  const { from } = architectures[name].kernel;
  return architectureNames.find((other) => other === from) ?? name;
}

let directory: TemporaryDirectory;
beforeAll(async () => {
  directory = await temporaryDirectory('/var/tmp', 'mkimg-architectures-');
});
afterAll(() => directory[Symbol.asyncDispose]());

interface Guest {
  readonly packages: ForeignPackages;
  readonly root: HostPath;
  readonly kernel: HostPath;
  readonly initrd: HostPath;
  readonly directory: HostPath;
}

const prepared = new Map<ArchitectureName, Promise<Guest>>();

function guestOf(architecture: ArchitectureName, more: readonly string[] = []): Promise<Guest> {
  const guest = prepared.get(architecture) ?? prepare(architecture, more);
  prepared.set(architecture, guest);
  return guest;
}

async function prepare(architecture: ArchitectureName, more: readonly string[]): Promise<Guest> {
  const own = hostPath(join(directory.path, architecture));
  await mkdir(own);
  const owner = kernelArchitecture(architecture);
  const { debian } = architectures[owner].names;
  const packages = await foreignPackages(own, { release: 'forky', architecture: debian });
  const flavour = flavours[owner] ?? new RegExp(`-${debian}$`);
  const kernelPackage = await packages.find('linux-binary-', flavour);
  const root = await packages.unpack([kernelPackage, 'busybox-static', ...more]);
  const modules = join(root, 'usr/lib/modules');
  const [version = ''] = await readdir(modules);
  return {
    ...{ packages, root, directory: own },
    kernel: hostPath(join(modules, version, 'vmlinuz')),
    initrd: await markerInitrd(join(root, 'usr/bin/busybox'), own),
  };
}

async function hostFor(architecture: ArchitectureName): Promise<VmHost> {
  return { tools: await vmTools(architecture), events: silentEvents, scratch: directory.path };
}

/** Boots and returns what the guest says of itself. */
async function boot(
  architecture: ArchitectureName,
  request: Partial<VmRequest>,
): Promise<{ readonly uname: string | undefined; readonly commandLine: string | undefined }> {
  const machine = machineFor(architecture);
  const log = hostPath(join(directory.path, `${architecture}-${Object.keys(request).join('-')}.log`));
  const started = performance.now();
  await using guest = await startConsoleGuest(
    bareMachine(hostPath('/dev/null'), {
      machine,
      memory: 2 ** 31,
      commandLine: [`console=${machine.console}`, 'panic=-1'],
      disks: [],
      ...request,
    }),
    log,
    await hostFor(architecture),
  );
  await guest.ended();
  const [, uname, commandLine] = markerPattern.exec(await guest.console()) ?? [];
  const seconds = Math.round((performance.now() - started) / 1000);
  process.stdout.write(`${architecture}: ${Object.keys(request).join(' ')}: ${seconds} s\n`);
  return { uname, commandLine };
}

describe('a kernel that QEMU loads', () => {
  it.each(architectureNames)('boots on %s, and gets all of its command line', async (architecture) => {
    const { kernel, initrd } = await guestOf(architecture, grubPackages[architecture]);
    const machine = machineFor(architecture);
    using source = openSource(kernel);
    expect(architectures[architecture].kernel.formats).toContain(detectKernel(source)?.format);
    const { tools } = await hostFor(architecture);
    const needs = needsFirmware(machine, {
      firmware: 'none',
      kernel: { path: kernel, unified: false },
      commandLine: [],
    });
    const credential = { name: 'a.name-that-is-too-long-for-fw-cfg', value: Buffer.from('x,"y"') };
    const { uname, commandLine = '' } = await boot(architecture, {
      kernel: { path: kernel, initrd, unified: false },
      credentials: [credential],
      ports: ['mkimg.0'],
      ...(needs ? { firmware: await findFirmware(machine, tools, false) } : {}),
    });
    expect(uname).toBe(architectures[kernelArchitecture(architecture)].uname);
    expect(commandLine).toContain(`console=${machine.console}`);
    const hasSmbios = machine.channels.smbios === 'always' || needs;
    expect(commandLine.includes(`${credential.name}:${credential.value.toString('base64')}`)).toBe(
      !hasSmbios,
    );
  });
});

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
    const guest = await guestOf(architecture, grubPackages[architecture]);
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
    const { uname, commandLine } = await boot(architecture, {
      disks: [{ id: 'mkimg', path: image, device: 'virtio-blk', discardWrites: true, bootIndex: 1 }],
      commandLineDisk: { id: 'mkimg', room: commandLineRoom(image, { machine }) ?? 0 },
      commandLine: ['for-a-copy'],
      credentials: [textCredential('a.name-that-is-too-long-for-fw-cfg', 'x')],
    });
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
