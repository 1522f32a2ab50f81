import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { Resources } from '../base/disposal.ts';
import { MkimgError } from '../base/errors.ts';
import { temporaryDirectory } from '../base/temporary.ts';
import type { ImageConfig } from '../config/project.ts';
import type { RequestedDisk } from './vm.ts';

/** The disks of `Drives=`; the files of those that are not kept vanish at the end of the scope. */
export interface PreparedDrives extends AsyncDisposable {
  readonly disks: readonly RequestedDisk[];
}

/**
 * Makes the files of `Drives=`: sparse, of the size asked for, in the drive's directory or in `scratch`. A drive that
 * `persist`s keeps its file and its content; others start empty each time.
 * @param extraArguments a drive that they refer to (`-device nvme,drive=ID`) gets no device of its own.
 * @throws MkimgError `drive-not-writable`
 */
export async function prepareDrives(
  drives: ImageConfig['Drives'],
  scratch: HostPath,
  extraArguments: readonly string[],
): Promise<PreparedDrives> {
  await using temporary = new Resources();
  const disks: RequestedDisk[] = [];
  for (const drive of drives) {
    const directory = drive.directory ?? scratch;
    const parent = drive.flags.includes('persist')
      ? directory
      : temporary.use(await temporaryDirectory(directory, 'mkimg-drive-')).path;
    const path = hostPath(join(parent, `mkimg-drive-${drive.fileId}`));
    await extendFile(path, drive.size);
    disks.push(driveDisk(drive, path, extraArguments));
  }
  const owned = temporary.move();
  return { disks, [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose]() };
}

/** The disk of a drive. Pure. */
export function driveDisk(
  drive: ImageConfig['Drives'][number],
  path: HostPath,
  extraArguments: readonly string[],
): RequestedDisk {
  const isUsed = extraArguments.some((word) => word.split(',').includes(`drive=${drive.id}`));
  return {
    id: drive.id,
    path,
    device: isUsed ? 'none' : 'virtio-blk',
    discardWrites: false,
    ...(drive.options === undefined ? {} : { options: drive.options }),
  };
}

/** Makes a file at least this long, without writing to it; an existing one keeps its content and is never cut. */
export async function extendFile(path: HostPath, size: number): Promise<void> {
  try {
    // Names in /var/tmp can be guessed: a link there is not followed.
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
    const handle = await open(path, flags, 0o600);
    try {
      if ((await handle.stat()).size < size) await handle.truncate(size);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw new MkimgError('drive-not-writable', `cannot make ${path} ${size} bytes long`, { cause: error });
  }
}

/** Size to show to the guest instead of the image's own; undefined when the image is as large already. */
export async function grownSize(image: HostPath, wanted: number | undefined): Promise<number | undefined> {
  if (wanted === undefined) return undefined;
  // Disks are made of whole sectors, and larger sectors than this do not occur.
  const rounded = Math.ceil(wanted / 4096) * 4096;
  return (await stat(image)).size < rounded ? rounded : undefined;
}
