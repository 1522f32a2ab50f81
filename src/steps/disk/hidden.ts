import { chmod, chown, lstat, mkdir, utimes } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath, treePath } from '../../base/brand.ts';
import type { Mount } from '../../sandbox/types.ts';
import { treeAt } from '../../sandbox/tree.ts';
import { buildroot } from '../script-environment.ts';

/** systemd-repart leaves these empty in a root partition: the running system mounts something there. */
const runtimeDirectories = ['dev', 'proc', 'run', 'sys', 'tmp', 'var/tmp'] as const;
/** Mount points of the partitions for booting; their content is on those. */
const bootDirectories = ['boot', 'efi'] as const;

/**
 * Mounts that let these directories of the tree look empty, with their owner, mode and time, so that mkfs does not see what
 * belongs to another partition or to the running system.
 */
export async function hiddenMounts(
  root: HostPath,
  work: HostPath,
  hidden: { readonly boot: boolean },
): Promise<readonly Mount[]> {
  const mounts: Mount[] = [];
  for (const path of [...runtimeDirectories, ...(hidden.boot ? bootDirectories : [])]) {
    const tree = treeAt(root);
    const place = treePath(path);
    if ((await tree.type(place)) !== 'directory' || (await tree.list(place)).length === 0) continue;
    const real = await tree.resolve(place);
    const source = hostPath(join(work, `empty-${mounts.length}`));
    await mkdir(source);
    await copyDirectoryInode(real, source);
    mounts.push({ source, target: join(buildroot, relative(root, real)), mode: 'ro' });
  }
  return mounts;
}

/** Gives a directory the owner, mode and times of another. */
export async function copyDirectoryInode(from: HostPath, to: HostPath): Promise<void> {
  const { mode, uid, gid, atime, mtime } = await lstat(from);
  await chown(to, uid, gid);
  await chmod(to, mode & 0o7777);
  await utimes(to, atime, mtime);
}
