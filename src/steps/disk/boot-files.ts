import { constants } from 'node:fs';
import { copyFile, mkdir, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { MkimgError } from '../../base/errors.ts';
import type { ArchitectureName } from '../../distro/architectures/index.ts';
import { architectures } from '../../distro/architectures/index.ts';
import type { OpenedFiles } from '../../plan/step.ts';
import { entryToken } from '../entry-token.ts';
import type { BootFile } from './esp.ts';
import { fallbackLoader, hasFallbackLoader, treeBootFiles, ukiBootFiles } from './esp.ts';

export interface BootRequest {
  readonly root: HostPath;
  readonly ukis: OpenedFiles;
  readonly architecture: ArchitectureName;
  readonly bootLoader: boolean;
}

/**
 * Everything for ESP and XBOOTLDR: what the tree has in /boot and /efi, and the unified kernel images.
 * @throws MkimgError `no-uefi` for architectures without, `boot-loader-missing` when firmware would find nothing.
 */
export async function collectBootFiles(request: BootRequest): Promise<readonly BootFile[]> {
  const { root, bootLoader } = request;
  const efi = efiName(request.architecture);
  const token = await entryToken(root);
  const files = [
    ...(await treeBootFiles(root, 'boot')),
    ...(await treeBootFiles(root, 'efi')),
    ...(await ukiBootFiles(request.ukis, { token, efi, bootLoader })),
  ];
  if (!hasFallbackLoader(files, efi)) throw loaderMissing(efi);
  return files;
}

/** EFI's name of an architecture. @throws MkimgError `no-uefi` */
export function efiName(architecture: ArchitectureName): string {
  const { efi } = architectures[architecture];
  if (efi === undefined) {
    throw new MkimgError(
      'no-uefi',
      `There is no UEFI firmware for ${architecture}, so no image that it can start.`,
      {
        hint: 'Set Bootable=no.',
      },
    );
  }
  return efi.name;
}

/** The error for a tree without systemd-boot. */
export function loaderMissing(efi: string): MkimgError {
  return new MkimgError(
    'boot-loader-missing',
    `The image has no systemd-boot for this architecture (systemd-boot${efi}.efi), so ${fallbackLoader(efi)} is missing.`,
    { hint: 'Add systemd-boot-efi (Debian, Ubuntu) or systemd-boot to Packages=, or set Bootloader=uki.' },
  );
}

/** Directories that stand in for the tree's /efi and /boot while systemd-repart reads it. */
export interface BootStage {
  readonly efi: HostPath;
  readonly boot: HostPath;
}

/** Copies boot files to where systemd-repart can read them, with times that no clock can change. */
export async function stageBootFiles(
  files: readonly BootFile[],
  into: HostPath,
  epoch: number,
): Promise<BootStage> {
  const stage: BootStage = { efi: hostPath(join(into, 'efi')), boot: hostPath(join(into, 'boot')) };
  const directories = new Set<string>([stage.efi, stage.boot]);
  for (const file of files) {
    const target = join(stage[file.place], file.target);
    await mkdir(dirname(target), { recursive: true });
    await copyFile(file.source, target, constants.COPYFILE_FICLONE);
    await utimes(target, epoch, epoch);
    for (let path = dirname(target); path !== into; path = dirname(path)) directories.add(path);
  }
  for (const directory of directories) {
    await mkdir(directory, { recursive: true });
    await utimes(directory, epoch, epoch);
  }
  return stage;
}
