import { mkdir, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath, treePath } from '../../base/brand.ts';
import { architectures, nativeArchitecture } from '../../distro/architectures/index.ts';
import { resolveInTree } from '../../sandbox/resolve.ts';
import type { Tree } from '../../sandbox/tree.ts';
import { treeAt } from '../../sandbox/tree.ts';
import type { Mount, RunRequest, ToolsRoot } from '../../sandbox/types.ts';

/*
 * To start a program in the emulator takes a hundred times as long as to run it, and maintainer scripts start thousands of
 * small ones. Those that do the same on every architecture come from the tools, in front of the tree's own on the PATH; they
 * find their loader and libraries where their architecture has them, which is a place that no other one uses.
 */

/** Not those that tell what machine this is, and not dpkg, which knows its own architecture. */
const portablePrograms = [
  ...[
    'basename',
    'cat',
    'chgrp',
    'chmod',
    'chown',
    'cksum',
    'cmp',
    'comm',
    'cp',
    'cut',
    'date',
    'dd',
    'diff',
  ],
  ...[
    'dirname',
    'echo',
    'env',
    'expr',
    'false',
    'find',
    'getent',
    'grep',
    'egrep',
    'fgrep',
    'gzip',
    'head',
    'id',
  ],
  ...[
    'install',
    'join',
    'ln',
    'ls',
    'md5sum',
    'mkdir',
    'mkfifo',
    'mktemp',
    'mv',
    'od',
    'paste',
    'printf',
    'pwd',
  ],
  ...[
    'readlink',
    'realpath',
    'rm',
    'rmdir',
    'sed',
    'seq',
    'sha1sum',
    'sha256sum',
    'sha512sum',
    'sleep',
    'sort',
  ],
  ...['stat', 'tail', 'tar', 'tee', 'test', 'touch', 'tr', 'true', 'truncate', 'tsort', 'uniq', 'wc'],
  ...['xargs', 'xz', 'zstd', 'dpkg-deb', 'dpkg-split'],
] as const;

/** Where the links to them stand, and the tools that these lead to, inside the sandbox. */
const inside = { links: '/run/mkimg/native', tools: '/run/mkimg/tools' } as const;

/** Programs of this machine's architecture for a tree of another one. */
export interface NativePrograms {
  readonly mounts: readonly Mount[];
  readonly symlinks: NonNullable<RunRequest['symlinks']>;
  /** Directory for the front of the PATH; absent where the tools have nothing that runs in other trees. */
  readonly path?: string;
}

export interface NativeProgramsRequest {
  readonly tree: Tree;
  readonly tools: ToolsRoot;
  /** Scratch directory of the step. */
  readonly work: HostPath;
  /** dpkg replaces no file of the tree meanwhile, so interpreters may stand in for the tree's. */
  readonly isUnpacked: boolean;
}

/** All programs are the tree's. */
export const noPrograms: NativePrograms = { mounts: [], symlinks: [] };

/** Nothing where the tools are no Debian with merged directories: their programs would not find their libraries. */
export async function nativePrograms(request: NativeProgramsRequest): Promise<NativePrograms> {
  const { loader, triplet } = architectures[nativeArchitecture()];
  const libraries = `usr/lib/${triplet}`;
  const tools = request.tools.kind === 'host' ? hostPath('/') : request.tools.path;
  const own = await resolveInTree(tools, loader, 'follow');
  // A tree that has some of its own: programs of both architectures are installed in it.
  if (!own.exists || (await request.tree.exists(treePath(libraries)))) return noPrograms;
  const { path } = await resolveInTree(tools, libraries, 'follow');
  if (!(await treeAt(tools).exists(treePath(`${libraries}/libc.so.6`)))) return noPrograms;
  return {
    mounts: [
      { source: own.path, target: `/usr${loader}`, mode: 'ro' },
      { source: path, target: `/${libraries}`, mode: 'ro' },
      { source: hostPath(join(tools, 'usr/bin')), target: inside.tools, mode: 'ro' },
      { source: await linkDirectory(tools, request), target: inside.links, mode: 'ro' },
      ...(request.isUnpacked ? await interpreterMounts(tools, request.tree) : []),
    ],
    symlinks: await loaderLink(request.tree, dirname(loader)),
    path: inside.links,
  };
}

/** Packages want it to be a link as in other trees, where there is one. */
async function loaderLink(tree: Tree, directory: string): Promise<NativePrograms['symlinks']> {
  const isThere = (await tree.type(treePath(directory))) !== undefined;
  return isThere ? [] : [{ target: `usr${directory}`, path: directory }];
}

async function linkDirectory(tools: HostPath, { tree, work }: NativeProgramsRequest): Promise<HostPath> {
  const directory = hostPath(join(work, 'native-programs'));
  await mkdir(directory, { recursive: true });
  const names = [...portablePrograms, ...((await hasOnlyPurePerl(tree)) ? ['perl'] : [])];
  for (const name of names) {
    const isThere = await treeAt(tools).exists(treePath(`usr/bin/${name}`));
    // What the tree itself lacks, scripts must not find.
    if (!isThere || !(await tree.exists(treePath(`usr/bin/${name}`)))) continue;
    await symlink(`${inside.tools}/${name}`, join(directory, name));
  }
  return directory;
}

/**
 * Modules in the machine's own language are those of the tree's architecture. The ones that perl-base has are there for
 * both.
 */
async function hasOnlyPurePerl(tree: Tree): Promise<boolean> {
  const others = ['perl', 'perl5'].map((name) => tree.glob(`usr/lib/*-linux-gnu*/${name}`));
  return (await Promise.all(others)).flat().length === 0;
}

/** Scripts name what reads them by its path. */
async function interpreterMounts(tools: HostPath, tree: Tree): Promise<readonly Mount[]> {
  const paths: (readonly [name: string, program: string])[] = [['/bin/sh', '/usr/bin/dash']];
  if (await hasOnlyPurePerl(tree)) paths.push(['/usr/bin/perl', '/usr/bin/perl']);
  const mounts: Mount[] = [];
  for (const [name, program] of paths) {
    const leadsThere = async (root: HostPath): Promise<boolean> => {
      const { path, exists } = await resolveInTree(root, name, 'follow');
      return exists && path === join(root, program);
    };
    if (!(await leadsThere(tree.root)) || !(await leadsThere(tools))) continue;
    mounts.push({ source: hostPath(join(tools, program)), target: program, mode: 'ro' });
  }
  return mounts;
}
