import { constants } from 'node:fs';
import { copyFile, mkdir, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isErrno } from '../../base/errors.ts';
import { temporaryDirectory } from '../../base/temporary.ts';
import type { Check, Finding, Surroundings } from './check.ts';
import { broken, good, lacking } from './check.ts';
import { outputOf } from './output-of.ts';

const gibibyte = 2 ** 30;
/** A small Debian image with its tools tree takes about 2 GiB in the cache. */
const least = 3 * gibibyte;
const comfortable = 10 * gibibyte;
/** Packages are linked into each tree: this many trees can share a file on ext4. */
const fewLinks = 1000;

/** The file system of the cache, and room. */
export const storageCheck: Check = {
  name: 'storage',
  run: async (surroundings) => {
    const { cache } = surroundings;
    try {
      await mkdir(cache.root, { recursive: true });
      await using place = await temporaryDirectory(cache.root, '.doctor-');
      return [
        await space('cache', cache.root),
        await reflinks(place.path),
        await links(place.path, surroundings),
        await space('scratch', surroundings.environment['TMPDIR'] === undefined ? '/var/tmp' : tmpdir()),
      ];
    } catch (error) {
      if (!isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'ENOTDIR', 'EEXIST', 'ENOENT')) throw error;
      const fix = 'Set CacheDirectory= or XDG_CACHE_HOME to a directory that can be written to.';
      return [broken('cache', `${cache.root} cannot be used: ${(error as Error).message}`, fix)];
    }
  },
};

/** Numbers of linux/magic.h. */
const fileSystems: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x01021994, 'tmpfs'],
  [0x794c7630, 'overlayfs'],
  [0x6969, 'NFS'],
  [0xf2f52010, 'f2fs'],
  [0x2fc12fc1, 'zfs'],
  [0xca451a4e, 'bcachefs'],
]);

async function space(name: string, path: string): Promise<Finding> {
  const { bavail, bsize, type } = await statfs(path);
  const free = bavail * bsize;
  const kind = fileSystems.get(type) ?? `file system ${type.toString(16)}`;
  const text = `${path} (${kind}) has ${(free / gibibyte).toFixed(1)} GiB free`;
  const fix = 'Make room with `mkimg cache prune`, or set CacheDirectory= to a larger disk.';
  if (free < least)
    return name === 'cache'
      ? broken(name, text, fix)
      : lacking(name, text, 'Make room there, or set TMPDIR.');
  return free < comfortable ? lacking(name, `${text}, which is little`, fix) : good(name, text);
}

async function reflinks(directory: string): Promise<Finding> {
  const [source, copy] = [join(directory, 'a'), join(directory, 'b')];
  await writeFile(source, Buffer.alloc(64 * 1024, 1));
  try {
    await copyFile(source, copy, constants.COPYFILE_FICLONE_FORCE);
    return good('reflinks', 'copies of large files share their content');
  } catch (error) {
    if (!isErrno(error, 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV', 'EINVAL', 'ENOTTY')) throw error;
    return good('reflinks', 'none here: large outputs are moved or copied; btrfs and xfs have them');
  }
}

async function links(directory: string, { signal }: Surroundings): Promise<Finding> {
  const answer = await outputOf(['getconf', 'LINK_MAX', directory], signal);
  const most = Number(answer?.text.trim().split('\n')[0]);
  if (answer?.exitCode !== 0 || Number.isNaN(most)) {
    return { name: 'links', verdict: 'unknown', summary: 'how many links a file can have is not known' };
  }
  return most < fewLinks
    ? lacking('links', `a file can have ${most} links: packages are copied once that many trees have them`)
    : good('links', `a file can have ${most} links`);
}
