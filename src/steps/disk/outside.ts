import { open } from 'node:fs/promises';
import type { HostPath } from '../../base/brand.ts';
import { MkimgError } from '../../base/errors.ts';
import type { RepartPartition } from './repart.ts';

/** Bytes for a place of a disk image outside of its file systems. */
export type Piece = readonly [content: Buffer, offset: number];

/** Writes into a disk image that is there. */
export async function writePieces(image: HostPath, pieces: readonly Piece[]): Promise<void> {
  const disk = await open(image, 'r+');
  try {
    for (const [content, offset] of pieces) await disk.write(content, 0, content.length, offset);
  } finally {
    await disk.close();
  }
}

/** The error for a partition of the user's that is too small for what boots from it. */
export function partitionTooSmall({ type, size }: RepartPartition, bytes: number): MkimgError {
  const inMebibytes = (count: number): string => `${Math.ceil(count / 2 ** 20)}M`;
  return new MkimgError(
    'boot-partition-too-small',
    `The ${type} partition has ${inMebibytes(size)}; what boots from it takes ${inMebibytes(bytes)}.`,
    { hint: `Set SizeMinBytes=${inMebibytes(bytes)} in its definition.` },
  );
}
