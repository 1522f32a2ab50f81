import { lstat, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { isErrno, MkimgError } from '../../base/errors.ts';
import type { Mount, Sandbox } from '../../sandbox/types.ts';
import type { ToolNeed } from '../../steps/implementation.ts';
import { SharedCacheFault } from './fault.ts';

/** What an entry of the store consists of: its artifact, and what a step left beside its tree. */
export type ArchivePart = 'tree' | 'file' | 'files' | 'products';

/** The programs that pack and unpack. */
export const archiveTools: readonly ToolNeed[] = [
  { tool: 'tar', reason: 'to use the shared cache' },
  { tool: 'zstd', reason: 'to use the shared cache' },
];

/** All that tar can keep of a layer: capabilities, ACLs, labels, and the marks of overlayfs. */
const attributes = ['--acls', '--selinux', '--xattrs', '--xattrs-include=*'] as const;

/**
 * Arguments of GNU tar that pack the parts of `/entry` into `/work/archive`. An overlay's white-outs are devices 0:0 and extended
 * attributes (user.overlay.*), which are kept like all others; times are kept to the nanosecond, holes are not written.
 */
export function packArgv(parts: readonly ArchivePart[]): string[] {
  return [
    ['--create', '--file=/work/archive', '--directory=/entry', '--use-compress-program=zstd -3 -T0 -q'],
    ['--format=posix', '--sort=name', '--numeric-owner', '--sparse'],
    ['--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime'],
    attributes,
    ['--warning=no-file-ignored', '--', ...parts],
  ].flat();
}

/** Arguments of GNU tar that unpack `/work/archive` into `/entry`. */
export function unpackArgv(parts: readonly ArchivePart[]): string[] {
  return [
    ['--extract', '--file=/work/archive', '--directory=/entry', '--use-compress-program=zstd -q'],
    ['--numeric-owner', '--same-owner', '--preserve-permissions', '--delay-directory-restore'],
    attributes,
    ['--', ...parts],
  ].flat();
}

/** Packs an artifact of the store; returns the archive, which is in `work`, an empty directory. */
export async function packArtifact(
  { path, parts }: { readonly path: HostPath; readonly parts: readonly [ArchivePart, ...ArchivePart[]] },
  work: HostPath,
  sandbox: Sandbox,
): Promise<HostPath> {
  const [artifact, ...others] = parts;
  await sandbox.run({
    tool: 'tar',
    argv: packArgv(parts),
    mounts: [
      { source: path, target: `/entry/${artifact}`, mode: 'ro' },
      ...others.map((part): Mount => {
        return { source: hostPath(join(path, '..', part)), target: `/entry/${part}`, mode: 'ro' };
      }),
      { source: work, target: '/work', mode: 'rw' },
    ],
    env: { TZ: 'UTC' },
    purpose: 'packing a result for the shared cache',
  });
  return hostPath(join(work, 'archive'));
}

export interface Unpacking {
  readonly parts: readonly ArchivePart[];
  /** A directory with nothing but the archive, `archive`. */
  readonly work: HostPath;
  /** An empty directory on the file system of `target`. */
  readonly scratch: HostPath;
  /** Where the parts are put. */
  readonly entry: HostPath;
}

/**
 * Unpacks an archive of hostile origin: in a sandbox that can write to `scratch` alone, and what comes out must be of the
 * kind that it should be before anybody follows its name.
 * @throws SharedCacheFault
 */
export async function unpackArtifact(
  { parts, work, scratch, entry }: Unpacking,
  sandbox: Sandbox,
): Promise<void> {
  try {
    await sandbox.run({
      tool: 'tar',
      argv: unpackArgv(parts),
      mounts: [
        { source: work, target: '/work', mode: 'ro' },
        { source: scratch, target: '/entry', mode: 'rw' },
      ],
      env: { TZ: 'UTC' },
      purpose: 'unpacking a result of the shared cache',
    });
  } catch (error) {
    if (error instanceof MkimgError && error.class === 'interrupted') throw error;
    throw new SharedCacheFault('an archive of it cannot be unpacked', { cause: error });
  }
  for (const part of parts) {
    const unpacked = join(scratch, part);
    if (!(await isArtifact(unpacked, part))) {
      throw new SharedCacheFault('an archive of it does not hold what its record says');
    }
    await rename(unpacked, join(entry, part));
  }
}

async function isArtifact(path: string, part: ArchivePart): Promise<boolean> {
  try {
    const stats = await lstat(path);
    if (part === 'file') return stats.isFile();
    if (part !== 'files' || !stats.isDirectory()) return stats.isDirectory();
    const files = await Promise.all((await readdir(path)).map((name) => lstat(join(path, name))));
    return files.every((file) => file.isFile());
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}
