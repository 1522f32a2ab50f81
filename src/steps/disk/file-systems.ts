import { blockBytes } from './usage.ts';

/** An ext4 file system in a new file: all its bytes are zero and not allocated. */
export interface Ext4Request {
  /** Paths inside the sandbox. */
  readonly image: string;
  readonly tree: string;
  /** Length in bytes. */
  readonly size: number;
  readonly label: string;
  readonly uuid: string;
  readonly hashSeed: string;
}

/**
 * mke2fs that fills a file with a tree, with the options that systemd-repart 257 uses.
 * `assume_storage_prezeroed` saves writing the journal and inode tables, now and by the kernel after the first mount.
 * With SOURCE_DATE_EPOCH in the environment, mke2fs 1.47.1 clamps all times to it and sorts each directory.
 */
export function mke2fsArgv(request: Ext4Request): string[] {
  const extended = ['nodiscard', 'assume_storage_prezeroed=1', `hash_seed=${request.hashSeed}`];
  return [
    ['-q', '-F', '-t', 'ext4', '-T', 'default'],
    ['-I', '256', '-m', '0', '-b', String(blockBytes)],
    // ext4 labels hold 16 bytes.
    ['-L', request.label.slice(0, 16), '-U', request.uuid],
    ['-E', extended.join(',')],
    ['-d', request.tree],
    [request.image, String(Math.floor(request.size / blockBytes))],
  ].flat();
}

/**
 * Commands for debugfs that set the access time of these paths. Its quotes know one escape, a doubled quote; names with a
 * line feed cannot be said and are left out.
 */
export function accessTimeScript(paths: readonly Buffer[], epoch: number): Buffer {
  const lines = paths
    .map((path) => path.toString('latin1'))
    .filter((path) => !path.includes('\n'))
    .map((path) => `set_inode_field "/${path.replaceAll('"', '""')}" atime @${epoch}\n`);
  return Buffer.from(lines.join(''), 'latin1');
}

/** A FAT file system inside a disk image. */
export interface FatRequest {
  readonly image: string;
  readonly offset: number;
  readonly size: number;
  readonly sectorSize: number;
  /** At most 11 characters. */
  readonly label: string;
  /** UUID from which the volume's serial number is taken. */
  readonly uuid: string;
}

/** mkfs.fat for a FAT32 in place. Its own default for the sector size of a file is 512, whatever the disk has. */
export function mkfsFatArgv(request: FatRequest): string[] {
  return [
    ['-F', '32', '-S', String(request.sectorSize)],
    ['-n', request.label, '-i', request.uuid.slice(0, 8)],
    // In units of the sector size, the length in KiB.
    ['--offset', String(request.offset / request.sectorSize)],
    [request.image, String(Math.floor(request.size / 1024))],
  ].flat();
}

/** How mtools name a FAT file system inside an image. */
function mtoolsImage(image: string, offset: number): string {
  return `${image}@@${offset}`;
}

/** mmd for directories, parents before what is in them. */
export function mmdArgv(image: string, offset: number, directories: readonly string[]): string[] {
  return ['-i', mtoolsImage(image, offset), ...directories.map((directory) => `::/${directory}`)];
}

/** mcopy for files into a directory (a target that ends with a slash, or nothing), or for one file under a new name. */
export function mcopyArgv(
  image: string,
  offset: number,
  copy: { readonly sources: readonly string[]; readonly target: string },
): string[] {
  return ['-i', mtoolsImage(image, offset), ...copy.sources, `::/${copy.target}`];
}

/** The first day that FAT knows. */
const fatEpoch = Date.UTC(1980, 0, 1) / 1000;

/** Environment for mkfs.fat and mtools: no configuration of the host, and times that FAT can hold. */
export function fatEnvironment(epoch: number): Record<string, string> {
  return { SOURCE_DATE_EPOCH: String(Math.max(epoch, fatEpoch)), TZ: 'UTC', MTOOLSRC: '/dev/null' };
}
