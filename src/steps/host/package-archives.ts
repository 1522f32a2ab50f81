import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import type { ResolvedPackage } from '../../distro/resolved.ts';
import { poolPath } from '../apt/fetch.ts';
import { linkOrCopy } from '../apt/linking.ts';
import type { UnpackedPackage } from '../apt/unpacked.ts';
import { dataFile, unpackedPackages } from '../apt/unpacked.ts';
import type { BuildContext } from '../implementation.ts';

/**
 * Where dpkg finds a file for each package: the pool, or, as soon as one is made of installed files, a directory of the
 * step's own with links to the pool and files made of the others. All that are files are in the pool.
 */
export async function packageDirectory(
  packages: readonly ResolvedPackage[],
  context: BuildContext,
): Promise<HostPath> {
  const repacked = packages.filter((entry) => entry.repacked !== undefined);
  if (repacked.length === 0) return context.packagePool;
  const directory = hostPath(join(context.work, 'packages'));
  await mkdir(directory);
  for (const entry of packages.filter((other) => !repacked.includes(other))) {
    linkOrCopy(poolPath(context.packagePool, entry), poolPath(directory, entry));
  }
  for (const unpacked of await unpackedPackages(repacked, context)) await pack(unpacked, directory, context);
  return directory;
}

async function pack(unpacked: UnpackedPackage, directory: HostPath, context: BuildContext): Promise<void> {
  const { sha256 } = unpacked.entry;
  const source = join(directory, sha256);
  layOut(unpacked, source);
  await context.sandbox.run({
    tool: 'dpkg-deb',
    argv: ['-Znone', '--build', `/packages/${sha256}`, `/packages/${sha256}.deb`],
    mounts: [{ source: directory, target: '/packages', mode: 'dev' }],
    purpose: 'packing installed files',
  });
  await rm(source, { recursive: true });
}

function layOut({ members, directory, control }: UnpackedPackage, source: string): void {
  mkdirSync(join(source, 'DEBIAN'), { recursive: true });
  for (const name of control) linkOrCopy(join(directory, 'control', name), join(source, 'DEBIAN', name));
  const prefix = Buffer.from(`${source}/`);
  for (const { path, type, mode, uid, gid } of members) {
    const target = Buffer.concat([prefix, Buffer.from(path, 'latin1')]);
    if (type !== 'directory') {
      linkOrCopy(dataFile(directory, path), target);
      continue;
    }
    mkdirSync(target, { recursive: true });
    chownSync(target, uid, gid);
    chmodSync(target, mode);
  }
}
