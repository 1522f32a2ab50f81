import { open } from 'node:fs/promises';
import type { HostPath } from '../base/brand.ts';
import { MkimgError } from '../base/errors.ts';
import { openSource } from '../formats/bytes.ts';
import { findDiskCommandLine } from '../formats/disk-command-line.ts';
import { startLongRunning } from '../sandbox/long-running.ts';
import type { SandboxSpec } from '../sandbox/types.ts';
import type { VmDisk } from './argv.ts';
import type { RequestedDisk, VmHost, VmRequest } from './vm.ts';

/** Where the machine's own directory is mounted. Short, because socket paths hold 108 bytes. */
export const runDirectory = '/run/mkimg';

type DiskRequest = Pick<VmRequest, 'commandLineDisk' | 'machine'>;

/**
 * What QEMU opens for a disk: its image; a copy in the machine's own directory, which has other words for the kernel; or a file
 * there that shows the image at a larger size.
 */
export function diskFile(
  { commandLineDisk }: DiskRequest,
  { id, discardWrites, size }: RequestedDisk,
): 'image' | 'copy' | 'overlay' {
  if (!discardWrites) return 'image';
  if (commandLineDisk?.id === id) return 'copy';
  return size === undefined ? 'image' : 'overlay';
}

/** The disk as QEMU gets it. Pure. */
export function vmDisk({ size, ...disk }: RequestedDisk, request: DiskRequest): VmDisk {
  switch (diskFile(request, { ...disk, ...(size === undefined ? {} : { size }) })) {
    case 'image':
      return { ...disk, path: diskTarget(disk), format: 'raw' };
    case 'copy':
      return { ...disk, path: `${runDirectory}/${copyName(disk)}`, format: 'raw', discardWrites: false };
    case 'overlay':
      return { ...disk, path: overlayOf(disk), format: 'qcow2', discardWrites: false };
  }
}

/** Where the image of a disk is in the sandbox. */
export function diskTarget({ id }: Pick<RequestedDisk, 'id'>): string {
  return `/images/${id}`;
}

/** Name of the copy of a disk in the machine's own directory. */
export function copyName({ id }: Pick<RequestedDisk, 'id'>): string {
  return `${id}.raw`;
}

function overlayOf({ id }: Pick<RequestedDisk, 'id'>): string {
  return `${runDirectory}/${id}.qcow2`;
}

/**
 * Room for words for the kernel on a disk image that the machine's own firmware starts, in bytes; undefined where its boot loader takes
 * none.
 */
export function commandLineRoom(disk: HostPath, { machine }: Pick<VmRequest, 'machine'>): number | undefined {
  try {
    using source = openSource(disk);
    return findDiskCommandLine(source, machine.channels.commandLine)?.room;
  } catch (error) {
    // Without a partition table, or with a damaged one: whether it boots is for the firmware to say.
    if (error instanceof MkimgError) return undefined;
    throw error;
  }
}

/**
 * Adds words to the kernel command line that a disk boots with, in the place of those that were added before.
 * @throws MkimgError `command-line-too-long`, `command-line-word`, `bad-boot-map` where the guest has changed how it boots
 */
export async function writeDiskCommandLine(
  disk: HostPath,
  { machine }: Pick<VmRequest, 'machine'>,
  words: string,
): Promise<void> {
  using source = openSource(disk);
  const found = findDiskCommandLine(source, machine.channels.commandLine);
  if (found === undefined) {
    throw new MkimgError('command-line-fixed', `The boot loader of ${disk} takes no words for the kernel.`, {
      hint: 'The guest has changed how its disk boots.',
    });
  }
  const bytes = Buffer.byteLength(words);
  if (bytes > found.room) {
    throw new MkimgError(
      'command-line-too-long',
      `The disk has room for ${found.room} more bytes of the kernel command line; ${bytes} are needed.`,
      { hint: 'Shorten KernelCommandLineExtra= or KernelCommandLine=.', class: 'usage' },
    );
  }
  if (!found.takesQuotes && /["'\\$]/.test(words)) {
    throw new MkimgError('command-line-word', 'GRUB takes no quotes, dollars and backslashes here.', {
      hint: 'Write such words into KernelCommandLine= of the image instead of KernelCommandLineExtra=.',
      class: 'usage',
    });
  }
  await using file = await open(disk, 'r+');
  const content = found.withWords(words);
  await file.write(content, 0, content.length, found.offset);
}

/** A disk that is larger than its image and must not change it: what the guest writes goes to a file beside the machine. */
export async function createOverlay(
  disk: RequestedDisk,
  { events }: Pick<VmHost, 'events'>,
  spec: SandboxSpec,
): Promise<void> {
  await using program = await startLongRunning({
    ...{ spec, tool: 'qemu-img', sockets: 0, events },
    argv: overlayArgv(diskTarget(disk), overlayOf(disk), disk.size ?? 0),
  });
  const { exitCode, stderr } = await program.ended;
  if (exitCode === 0) return;
  throw new MkimgError('tool-failed', `qemu-img cannot make a temporary disk: ${stderr.at(-1) ?? ''}`, {
    tail: stderr,
    hint: "RuntimeSize= for a throw-away copy needs qemu-img (package 'qemu-utils').",
  });
}

/** qemu-img's arguments for a qcow2 file that shows another image at a larger size. */
export function overlayArgv(image: string, overlay: string, size: number): string[] {
  return [
    ['create', '-q', '-f', 'qcow2', '-F', 'raw'],
    ['-b', image],
    [overlay, String(size)],
  ].flat();
}
