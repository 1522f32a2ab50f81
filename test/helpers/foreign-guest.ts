import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import { silentEvents } from '../../src/base/events.ts';
import type { ArchitectureName } from '../../src/distro/architectures/index.ts';
import { architectureNames, architectures } from '../../src/distro/architectures/index.ts';
import { machineFor } from '../../src/qemu/machines/index.ts';
import type { VmHost, VmRequest } from '../../src/qemu/vm.ts';
import { bareMachine } from './bare-machine.ts';
import { startConsoleGuest } from './console-guest.ts';
import { foreignPackages } from './foreign-packages.ts';
import { markerInitrd, markerPattern } from './marker-initrd.ts';
import { vmTools } from './tools.ts';

/** Debian's packages of kernels alone: linux-binary-VERSION-FLAVOUR. */
const flavours: Readonly<Partial<Record<ArchitectureName, RegExp>>> = {
  arm: /-armmp$/,
  'ppc64-le': /-powerpc64le$/,
  loongarch64: /-loong64$/,
};

/** The architecture whose kernels boot this one: its own, or one that also runs its programs. */
export function kernelArchitecture(name: ArchitectureName): ArchitectureName {
  const { from } = architectures[name].kernel;
  return architectureNames.find((other) => other === from) ?? name;
}

/** A kernel of Debian forky, and an initrd that says what it was started with. */
export interface ForeignGuest {
  /** The unpacked packages. */
  readonly root: HostPath;
  readonly kernel: HostPath;
  readonly initrd: HostPath;
}

/**
 * Gets what boots an architecture into a directory.
 * @param more packages besides kernel and busybox
 */
export async function foreignGuest(
  architecture: ArchitectureName,
  directory: HostPath,
  more: readonly string[] = [],
): Promise<ForeignGuest> {
  const own = hostPath(join(directory, architecture));
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
    root,
    kernel: hostPath(join(modules, version, 'vmlinuz')),
    initrd: await markerInitrd(join(root, 'usr/bin/busybox'), own),
  };
}

export async function foreignHost(architecture: ArchitectureName, scratch: HostPath): Promise<VmHost> {
  return { tools: await vmTools(architecture), events: silentEvents, scratch };
}

/** Boots a machine with that initrd, and returns what the guest says of itself. */
export async function bootForeign(
  architecture: ArchitectureName,
  request: Partial<VmRequest>,
  scratch: HostPath,
): Promise<{ readonly uname: string | undefined; readonly commandLine: string | undefined }> {
  const machine = machineFor(architecture);
  const log = hostPath(join(scratch, `${architecture}-${Object.keys(request).join('-')}.log`));
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
    await foreignHost(architecture, scratch),
  );
  await guest.ended();
  const [, uname, commandLine] = markerPattern.exec(await guest.console()) ?? [];
  const seconds = Math.round((performance.now() - started) / 1000);
  process.stdout.write(`${architecture}: ${Object.keys(request).join(' ')}: ${seconds} s\n`);
  return { uname, commandLine };
}
