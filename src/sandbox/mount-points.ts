import { lstat, mkdir, open, rmdir, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath, treePath } from '../base/brand.ts';
import { isErrno, MkimgError } from '../base/errors.ts';
import { exists } from '../base/files.ts';
import { scratchDirectories } from './bubblewrap.ts';
import { resolveInTree } from './resolve.ts';
import { treeAt } from './tree.ts';
import type { SandboxSpec } from './types.ts';

/** A spec whose targets exist in the tree; at the end of its scope the tree is as it was. */
export interface PreparedSpec extends AsyncDisposable {
  readonly spec: SandboxSpec;
}

/** Directories that every system has; they stay when they were missing. */
const systemDirectories = [
  ['dev', 0o755],
  ['proc', 0o555],
  ['sys', 0o555],
  ['run', 0o755],
  ['tmp', 0o1777],
  ['var/tmp', 0o1777],
] as const;

/**
 * Makes a tree ready to be run in. bwrap would follow the tree's own symbolic links when it makes mount points, as root
 * and outside of the tree; so all targets are resolved here, inside the tree, and made if they are missing. With network
 * the machine's resolv.conf is shown where the tree's own is looked for. Specs without `root` pass unchanged.
 * @throws MkimgError `bad-tree-path` when /dev, /proc or another such directory is a link.
 */
export async function prepareRoot(spec: SandboxSpec): Promise<PreparedSpec> {
  const { root } = spec;
  if (root === undefined) return { spec, [Symbol.asyncDispose]: () => Promise.resolve() };
  for (const [path, mode] of systemDirectories) await ensureSystemDirectory(root, path, mode);
  const made: Made[] = [];
  const dispose = (): Promise<void> => removeMade(made);
  try {
    return { spec: await placedSpec({ ...spec, root }, made), [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

type RootSpec = SandboxSpec & { readonly root: HostPath };

interface Made {
  readonly path: string;
  readonly kind: 'directory' | 'file' | 'link';
}

async function ensureSystemDirectory(root: HostPath, path: string, mode: number): Promise<void> {
  const { path: real } = await resolveInTree(root, path, 'follow');
  if (real !== join(root, path)) {
    throw new MkimgError(
      'bad-tree-path',
      `Cannot run programs in the image: its /${path} is a symbolic link.`,
      {
        hint: 'mkimg mounts a directory of its own there. Make it a directory.',
      },
    );
  }
  await treeAt(root).mkdir(treePath(path), mode);
}

async function placedSpec(spec: RootSpec, made: Made[]): Promise<SandboxSpec> {
  const wanted = [...spec.mounts, ...(await resolverMount(spec))];
  const targets = wanted.map((mount) => mount.target);
  const mounts = [];
  for (const mount of wanted) {
    const isDirectory = (await stat(mount.source)).isDirectory();
    const others = targets.filter((target) => target !== mount.target);
    const target = await place({ root: spec.root, others, made }, mount.target, isDirectory);
    mounts.push({ ...mount, target });
  }
  const tmpfs = [];
  for (const target of spec.tmpfs ?? []) {
    tmpfs.push(await place({ root: spec.root, others: targets, made }, target, true));
  }
  return { ...spec, mounts, tmpfs, symlinks: await placedLinks(spec, made) };
}

/** bwrap makes the links itself, but would follow other links on the way. */
async function placedLinks(spec: RootSpec, made: Made[]): Promise<NonNullable<SandboxSpec['symlinks']>> {
  const links = [];
  for (const { target, path } of spec.symlinks ?? []) {
    const parent = await place({ root: spec.root, others: [], made }, dirname(path), true);
    const real = join(parent, basename(path));
    if (!isScratch(real)) made.push({ path: join(spec.root, real), kind: 'link' });
    links.push({ target, path: real });
  }
  return links;
}

/** The machine's resolv.conf, where a program in the tree looks for it: at the end of links that lead into /run, often. */
async function resolverMount(spec: RootSpec): Promise<SandboxSpec['mounts']> {
  const source = hostPath('/etc/resolv.conf');
  const target = '/etc/resolv.conf';
  const isTaken = spec.mounts.some((mount) => mount.target === target);
  if (!spec.network || isTaken || !(await exists(source))) return [];
  return [{ source, target, mode: 'ro' }];
}

interface Placing {
  readonly root: HostPath;
  /** Targets of other mounts: what lies below them is not in the tree. */
  readonly others: readonly string[];
  readonly made: Made[];
}

async function place({ root, others, made }: Placing, target: string, isDirectory: boolean): Promise<string> {
  const { path } = await resolveInTree(root, target, 'follow');
  const real = `/${relative(root, path)}`;
  // There bwrap makes what is missing, on a file system that goes away.
  const isElsewhere = [...scratchDirectories, '/dev', ...others].some((other) =>
    real.startsWith(`${other}/`),
  );
  if (!isElsewhere) await make(root, path, { isDirectory, made });
  return real;
}

/** Where bwrap makes what is missing on a file system that goes away. */
function isScratch(path: string): boolean {
  return [...scratchDirectories, '/dev'].some((directory) => path.startsWith(`${directory}/`));
}

async function make(
  root: HostPath,
  path: string,
  { isDirectory, made }: { readonly isDirectory: boolean; readonly made: Made[] },
): Promise<void> {
  const names = relative(root, path).split('/');
  let here: string = root;
  for (const [index, name] of names.entries()) {
    here = join(here, name);
    const wantsDirectory = isDirectory || index < names.length - 1;
    if (await makeOne(here, wantsDirectory))
      made.push({ path: here, kind: wantsDirectory ? 'directory' : 'file' });
  }
}

/** True when it was not there. */
async function makeOne(path: string, isDirectory: boolean): Promise<boolean> {
  try {
    if (isDirectory) await mkdir(path);
    else await (await open(path, 'wx')).close();
    return true;
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Removes what was made unless the program put something into it. */
async function removeMade(made: readonly Made[]): Promise<void> {
  for (const { path, kind } of [...made].reverse()) {
    try {
      if (kind === 'directory') await rmdir(path);
      else if (kind === 'link' || (await lstat(path)).size === 0) await unlink(path);
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'ENOTEMPTY')) throw error;
    }
  }
}
