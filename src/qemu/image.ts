import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import type { Origin } from '../base/diagnostic.ts';
import { MkimgError, unreachable } from '../base/errors.ts';
import { exists, namesIn } from '../base/files.ts';
import { compareVersions } from '../base/version.ts';
import type { BuildableConfig } from '../config/project.ts';
import type { ArchitectureName } from '../distro/architectures/index.ts';
import { hasUefi } from '../distro/architectures/index.ts';
import { openSource } from '../formats/bytes.ts';
import type { GptPartition } from '../formats/gpt.ts';
import { readGpt } from '../formats/gpt.ts';
import { outputBase } from '../plan/outputs.ts';

/** What starts the system in the machine. */
export interface BootSource {
  /** `none`: the kernel is loaded, or the machine's own firmware (BIOS, SLOF, the mainframe's loader) starts the disk. */
  readonly firmware: 'none' | 'uefi' | 'uefi-secure-boot';
  /** GPT disk image that the machine gets as its first disk. */
  readonly disk?: HostPath;
  /** `unified`: brings its own initrd and command line. */
  readonly kernel?: { readonly path: HostPath; readonly initrd?: HostPath; readonly unified: boolean };
  /** Tree that becomes the root file system. */
  readonly rootDirectory?: HostPath;
  /** Words that tell the kernel where its root is. */
  readonly commandLine: readonly string[];
}

/**
 * Finds what boots an image among the files that were built of it.
 * @throws MkimgError `not-built` when the files are not there, `not-bootable` when a format cannot boot at all.
 */
export async function findBootSource(config: BuildableConfig, origin: Origin): Promise<BootSource> {
  switch (config.Format) {
    case 'disk':
      return diskSource(config, origin);
    case 'uki':
      return ukiSource(config, origin);
    case 'cpio':
      return cpioSource(config);
    case 'directory':
      return directorySource(config);
    case 'tar':
      throw new MkimgError('not-bootable', 'a tar archive cannot be booted', {
        hint: 'Use Format=disk, uki, cpio or directory.',
        class: 'usage',
        origin,
      });
    default:
      return unreachable(config.Format);
  }
}

const compressionSuffix = { none: '', zstd: '.zst', xz: '.xz', gz: '.gz' } as const;

/** The main file of an image's output. */
export function mainOutput(config: BuildableConfig): HostPath {
  const suffix = compressionSuffix[config.CompressOutput];
  switch (config.Format) {
    case 'disk':
      return output(config, `.raw${suffix}`);
    case 'uki':
      return output(config, '.efi');
    case 'cpio':
      return output(config, `.cpio${suffix}`);
    case 'tar':
      return output(config, `.tar${suffix}`);
    case 'directory':
      return output(config, '');
    default:
      return unreachable(config.Format);
  }
}

async function diskSource(config: BuildableConfig, origin: Origin): Promise<BootSource> {
  const disk = await built(mainOutput(config));
  if (config.CompressOutput !== 'none') {
    throw new MkimgError('not-bootable', `${disk} is compressed and cannot be booted as it is`, {
      hint: 'Build with CompressOutput=none to boot the image here.',
      class: 'usage',
      origin,
    });
  }
  if (config.Firmware === 'bios' && !hasBios(config.Architecture)) {
    throw new MkimgError('no-machine', `there is no BIOS for ${config.Architecture}`, {
      hint: 'Leave out Firmware=.',
      class: 'usage',
    });
  }
  if (!startsKernel(config)) return { firmware: firmwareOf(config), disk, commandLine: [] };
  return {
    firmware: 'none',
    disk,
    kernel: await splitKernel(config),
    commandLine: [...config.KernelCommandLine, ...rootOfDisk(disk)],
  };
}

async function ukiSource(config: BuildableConfig, origin: Origin): Promise<BootSource> {
  const path = await built(mainOutput(config));
  if (startsKernel(config) || config.Firmware === 'bios') {
    throw new MkimgError('not-bootable', 'a unified kernel image is started by UEFI firmware', {
      hint: `Leave out Firmware=${config.Firmware}.`,
      class: 'usage',
      origin,
    });
  }
  return { firmware: firmwareOf(config), kernel: { path, unified: true }, commandLine: [] };
}

async function cpioSource(config: BuildableConfig): Promise<BootSource> {
  const initrd = await built(mainOutput(config));
  const kernel = await firstExisting([output(config, '.vmlinuz')]);
  if (kernel === undefined) throw noKernel(config);
  return {
    firmware: config.Firmware === 'auto' ? 'none' : firmwareOf(config),
    kernel: { path: kernel, initrd, unified: false },
    commandLine: config.KernelCommandLine,
  };
}

async function directorySource(config: BuildableConfig): Promise<BootSource> {
  const rootDirectory = await built(mainOutput(config));
  const kernel = (await firstExisting([output(config, '.vmlinuz')])) ?? (await kernelInTree(rootDirectory));
  if (kernel === undefined) throw noKernel(config);
  const initrd = await splitInitrd(config);
  return {
    firmware: config.Firmware === 'auto' ? 'none' : firmwareOf(config),
    kernel: { path: kernel, unified: false, ...(initrd === undefined ? {} : { initrd }) },
    rootDirectory,
    commandLine: [...config.KernelCommandLine, 'root=root', 'rootfstype=virtiofs', 'rw'],
  };
}

/** QEMU starts the kernel; there is no firmware, or none that matters. */
function startsKernel({ Firmware }: BuildableConfig): boolean {
  return Firmware === 'linux' || Firmware === 'linux-noinitrd';
}

async function splitInitrd(config: BuildableConfig): Promise<HostPath | undefined> {
  return config.Firmware === 'linux-noinitrd' ? undefined : firstExisting([output(config, '.initrd')]);
}

function firmwareOf(config: BuildableConfig): BootSource['firmware'] {
  switch (config.Firmware) {
    case 'linux':
    case 'bios':
    case 'linux-noinitrd':
      return 'none';
    case 'uefi-secure-boot':
      return 'uefi-secure-boot';
    case 'auto':
      // Others have firmware of their own, which comes with the machine.
      return hasUefi(config.Architecture) ? 'uefi' : 'none';
    case 'uefi':
      return 'uefi';
    default:
      return unreachable(config.Firmware);
  }
}

async function splitKernel(config: BuildableConfig): Promise<NonNullable<BootSource['kernel']>> {
  const path = await firstExisting([output(config, '.vmlinuz')]);
  if (path === undefined) throw noKernel(config);
  const initrd = await splitInitrd(config);
  return { path, unified: false, ...(initrd === undefined ? {} : { initrd }) };
}

/** Without firmware nobody tells systemd which disk it came from, so the root partition is named. */
function rootOfDisk(disk: HostPath): string[] {
  const root = findPartition(disk, isRootType);
  return root === undefined ? [] : [`root=PARTUUID=${root.uuid}`, 'rw'];
}

function hasBios(architecture: ArchitectureName): boolean {
  return architecture === 'x86-64' || architecture === 'x86';
}

/** The first partition of a disk image whose type, as systemd calls it, is the one. */
export function findPartition(disk: HostPath, isWanted: (type: string) => boolean): GptPartition | undefined {
  using source = openSource(disk);
  return readGpt(source).partitions.find(({ type }) => isWanted(type));
}

/** A root file system, of whichever architecture. */
export function isRootType(type: string): boolean {
  return /^root-[a-z0-9-]+(?<!-verity|-sig)$/.test(type);
}

/** Kernels stand in usr/lib/modules/VERSION/vmlinuz of every tree that mkimg finished; the newest counts. */
async function kernelInTree(tree: HostPath): Promise<HostPath | undefined> {
  const modules = join(tree, 'usr/lib/modules');
  const versions = (await namesIn(modules)).sort(compareVersions).reverse();
  return firstExisting(versions.map((version) => hostPath(join(modules, version, 'vmlinuz'))));
}

async function firstExisting(paths: readonly HostPath[]): Promise<HostPath | undefined> {
  for (const path of paths) if (await exists(path)) return path;
  return undefined;
}

function output(config: BuildableConfig, extension: string): HostPath {
  return hostPath(join(config.OutputDirectory, outputBase(config) + extension));
}

async function built(path: HostPath): Promise<HostPath> {
  if (await exists(path)) return path;
  throw new MkimgError('not-built', `the image has not been built yet: ${path} does not exist`, {
    hint: 'Build it with `mkimg build`, or build and boot at once with -f.',
  });
}

function noKernel(config: BuildableConfig): MkimgError {
  return new MkimgError('not-bootable', `no kernel was built for this ${config.Format} image`, {
    hint: `Install a kernel package in the image and keep 'kernel' in SplitArtifacts=; it is then written to ${output(config, '.vmlinuz')}.`,
    class: 'usage',
  });
}
