import { stat } from 'node:fs/promises';
import type { BootSource } from './image.ts';

/** Bytes of an image's file, and of the disk that it takes; they differ by its holes. */
export interface ImageSize {
  readonly apparent: number;
  readonly allocated: number;
}

/** The size of what is booted: the disk, the initrd that is the system, or the unified kernel image; undefined for a tree. */
export async function imageSizeOf({
  disk,
  kernel,
  rootDirectory,
}: BootSource): Promise<ImageSize | undefined> {
  const path = disk ?? kernel?.initrd ?? kernel?.path;
  if (path === undefined || rootDirectory !== undefined) return undefined;
  const { size, blocks } = await stat(path);
  return { apparent: size, allocated: blocks * 512 };
}
