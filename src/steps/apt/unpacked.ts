import type { Stats } from 'node:fs';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import pLimit from 'p-limit';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import type { ResolvedPackage } from '../../distro/resolved.ts';
import type { BuildContext, Part } from '../implementation.ts';
import { repackInstalled } from '../host/repack.ts';
import { fetchPackages } from './fetch.ts';

export type MemberType = 'directory' | 'file' | 'symlink' | 'other';

/** One thing in a package. */
export interface Member {
  /** Relative to the root, without a leading `./`; bytes as Latin-1, because names need not be UTF-8. '' is the root. */
  readonly path: string;
  readonly type: MemberType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** The content of one package file, as its archives have it. */
export interface UnpackedPackage {
  readonly entry: ResolvedPackage;
  /** Holds `data`, what dpkg would put into the tree, and `control`, its control files. */
  readonly directory: HostPath;
  /** In the order of the archive. */
  readonly members: readonly Member[];
  /** Names of the control files, sorted. */
  readonly control: readonly string[];
}

interface PackagePart extends Part {
  readonly entry: ResolvedPackage;
}

/** Extracts a package file, named by its digest, into `/unpacked/DIGEST`. For sh. */
const extractScript = [
  'set -e',
  'd="/unpacked/$1"',
  'mkdir "$d" "$d/data"',
  'dpkg-deb --control "/packages/$1.deb" "$d/control"',
  // The exit code is that of tar, which fails as well when dpkg-deb stops in the middle of the archive.
  [
    'dpkg-deb --fsys-tarfile "/packages/$1.deb"',
    // Names of users would be looked up among those of the tools.
    'tar --extract --file=- --directory="$d/data" --numeric-owner --same-permissions --verbose --quoting-style=literal --index-file="$d/members"',
  ].join(' | '),
  'printf "%s\\n" "$1"',
].join('\n');

/** xargs(1) that extracts the packages whose digests stand on its standard input, several at once, and says which are done. */
export function extractArgv(jobs: number): string[] {
  return ['-0', '-n', '1', '-P', String(jobs), 'sh', '-c', extractScript, 'sh'];
}

/** The content of packages, each downloaded and extracted at most once for all trees. */
export async function unpackedPackages(
  packages: readonly ResolvedPackage[],
  context: BuildContext,
): Promise<readonly UnpackedPackage[]> {
  const directories = await packageDirectories(packages, context);
  return packages.map((entry, index) => {
    const directory = directories[index];
    if (directory === undefined) throw new Error(`internal: ${entry.name} was not unpacked`);
    return readUnpacked(entry, directory);
  });
}

/** Where the content of packages is, in their order; see UnpackedPackage.directory. */
export function packageDirectories(
  packages: readonly ResolvedPackage[],
  context: BuildContext,
): Promise<readonly HostPath[]> {
  const parts: readonly PackagePart[] = packages.map((entry) => ({
    kind: entry.repacked === undefined ? 'unpacked-package' : 'repacked-package',
    version: 1,
    label: `package ${entry.name} ${entry.version}`,
    identity: { sha256: entry.sha256 },
    byTools: false,
    checksums: { list: 'control/md5sums', below: 'data' },
    entry,
  }));
  return context.parts.obtain(parts, (missing, done) =>
    makeUnpacked(
      missing.map(({ entry }) => entry),
      {
        context,
        done: (sha256, directory) => {
          const part = missing.find(({ entry }) => entry.sha256 === sha256);
          if (part !== undefined) done(part, directory);
        },
      },
    ),
  );
}

interface Unpacking {
  readonly context: BuildContext;
  /** Told of packages that are whole. */
  readonly done: (sha256: string, directory: HostPath) => void;
}

/** Extracts package files, and puts those together that are made of installed files. */
async function makeUnpacked(
  packages: readonly ResolvedPackage[],
  { context, done }: Unpacking,
): Promise<readonly HostPath[]> {
  const unpacked = hostPath(join(context.work, 'unpacked'));
  await mkdir(unpacked, { recursive: true });
  const repacked = packages.filter((entry) => entry.repacked !== undefined);
  const files = packages.filter((entry) => !repacked.includes(entry));
  await repackInstalled(repacked, unpacked);
  const directoryOf = (sha256: string): HostPath => hostPath(join(unpacked, sha256));
  const tell = (sha256: string): void => done(sha256, directoryOf(sha256));
  if (files.length > 0) await extract(files, { unpacked, context, tell });
  return packages.map(({ sha256 }) => directoryOf(sha256));
}

/** One after the other, because each takes all connections or processors. */
const fetching = pLimit(1);
const extracting = pLimit(1);

async function extract(
  packages: readonly ResolvedPackage[],
  { unpacked, context, tell }: { unpacked: HostPath; context: BuildContext; tell: (sha256: string) => void },
): Promise<void> {
  await fetching(() => fetchPackages(packages, context));
  // The largest first: otherwise one processor idles while the other is busy with it at the end.
  const queue = [...packages].sort((left, right) => right.size - left.size);
  await extracting(() =>
    context.sandbox.run({
      tool: 'xargs',
      argv: extractArgv(context.jobs),
      input: queue.map(({ sha256 }) => `${sha256}\0`).join(''),
      mounts: [
        { source: context.packagePool, target: '/packages', mode: 'ro' },
        { source: unpacked, target: '/unpacked', mode: 'dev' },
      ],
      stdout: { line: tell },
      purpose: 'extracting packages',
    }),
  );
}

function readUnpacked(entry: ResolvedPackage, directory: HostPath): UnpackedPackage {
  const names = readFileSync(join(directory, 'members'), 'latin1').split('\n');
  return {
    entry,
    directory,
    members: names.filter((name) => name !== '').map((name) => readMember(directory, name)),
    control: readdirSync(join(directory, 'control')).sort(),
  };
}

/** `name` is tar's: `./usr/bin/` for a directory. */
function readMember(directory: HostPath, name: string): Member {
  const path = name
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
  const stats = lstatSync(dataFile(directory, path));
  return { path, type: memberType(stats), mode: stats.mode & 0o7777, uid: stats.uid, gid: stats.gid };
}

/** Where a member's data is; for system calls. */
export function dataFile(directory: HostPath, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/data/`), Buffer.from(path, 'latin1')]);
}

function memberType(stats: Stats): MemberType {
  if (stats.isDirectory()) return 'directory';
  if (stats.isFile()) return 'file';
  return stats.isSymbolicLink() ? 'symlink' : 'other';
}
