import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { copySparsely } from '../sparse-copy.ts';
import type { RequestedDisk } from '../vm.ts';

/** The disks of the images of one test: copies, which outlive its machines and are changed by them. */
export class DiskCopies {
  private readonly directory: HostPath;
  private readonly copies = new Map<HostPath, RequestedDisk>();

  /** @param directory where the copies lie; whoever gave it removes it */
  constructor(directory: HostPath) {
    this.directory = directory;
  }

  /** The copy of a disk, made when it is asked for first. */
  async of(disk: RequestedDisk): Promise<RequestedDisk> {
    const known = this.copies.get(disk.path);
    if (known !== undefined) return known;
    const { size, ...rest } = disk;
    const number = this.copies.size;
    const path = hostPath(join(this.directory, `disk-${number}.raw`));
    await copySparsely(disk.path, path, size);
    const copy = { ...rest, id: number === 0 ? disk.id : `${disk.id}${number}`, path, discardWrites: false };
    this.copies.set(disk.path, copy);
    return copy;
  }

  /** All copies so far, in the order in which they were made. */
  all(): readonly RequestedDisk[] {
    return [...this.copies.values()];
  }
}
