import { constants } from 'node:fs';
import { copyFile, open } from 'node:fs/promises';
import type { HostPath } from '../base/brand.ts';
import { isErrno } from '../base/errors.ts';

const chunkSize = 1024 * 1024;

/** Copies a disk image, sharing its blocks where the file system can, and without writing its empty parts. */
export async function copySparsely(from: HostPath, to: HostPath, size?: number): Promise<void> {
  try {
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
  } catch (error) {
    if (!isErrno(error, 'ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOTTY', 'ENOSYS')) throw error;
    await copyBytes(from, to);
  }
  await using target = await open(to, 'r+');
  await target.truncate(Math.max(size ?? 0, (await target.stat()).size));
}

async function copyBytes(from: HostPath, to: HostPath): Promise<void> {
  await using source = await open(from, 'r');
  await using target = await open(to, 'w', 0o600);
  const { size } = await source.stat();
  await target.truncate(size);
  const chunk = Buffer.alloc(chunkSize);
  const empty = Buffer.alloc(chunkSize);
  for (let at = 0; at < size;) {
    const { bytesRead } = await source.read(chunk, 0, chunkSize, at);
    if (bytesRead === 0) break;
    const part = chunk.subarray(0, bytesRead);
    if (!part.equals(empty.subarray(0, bytesRead))) await target.write(part, 0, bytesRead, at);
    at += bytesRead;
  }
}
