import type { Stats } from 'node:fs';
import { lstat, readdir, stat, utimes } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import type { HostPath, TreePath } from '../base/brand.ts';
import { treePath } from '../base/brand.ts';
import { byBytes } from '../base/canonical.ts';
import { isErrno, MkimgError } from '../base/errors.ts';
import type { Tree } from '../sandbox/tree.ts';
import { treeAt } from '../sandbox/tree.ts';
import { buildrootMount } from './buildroot.ts';
import type { BuildContext } from './implementation.ts';
import { buildroot } from './script-environment.ts';
import { quoted } from './script-helpers.ts';

/** Files to put into a tree. */
export interface TreeCopy {
  /** Directory whose content is copied, or one file. */
  readonly source: HostPath;
  /** Where it goes; empty for the root. A file goes to this very path, or into the root under its own name. */
  readonly target: TreePath;
  /**
   * `root`: the copies belong to 0:0, and have neither the times nor the extended attributes of the source, which differ
   * between two checkouts of the same files and are in no key. `kept`: all is as at the source.
   */
  readonly ownership: 'root' | 'kept';
}

/** One call of cp: entries of one source directory that go into one directory of the tree. */
export interface CopyBatch {
  /** Path below the source's mount; empty for the mount itself. */
  readonly from: string;
  /** Directory in the tree that exists and has no symbolic link on its path; empty for the root. */
  readonly into: string;
  readonly names: readonly string[];
}

export interface CopyPlan {
  /** Where the source is mounted while cp runs. */
  readonly mountedAt: string;
  readonly batches: readonly CopyBatch[];
}

const sourceMount = '/run/source';
/** Keeps one command line far below the kernel's limit of 2 MiB, with names as long as they may be. */
const namesPerCommand = 500;

/**
 * Copies files into a tree, with their modes and links. What is there is replaced, never written
 * through, be it a symbolic link or one of several hard links. Directories that are there keep owner, mode and time. A
 * directory of the source that meets a symbolic link (bin, where the tree has bin -> usr/bin) goes to where the link leads
 * inside the tree. Hard links are kept between files below one directory that is new.
 *
 * No link of the image is ever followed by cp, because it is told only of directories that were resolved before.
 * @throws MkimgError `tree-conflict` where a directory meets a file, `tree-missing` when there is no source.
 */
export async function copyIntoTree(copy: TreeCopy, root: HostPath, context: BuildContext): Promise<void> {
  const tree = treeAt(root);
  const plan = await planCopy(copy, tree);
  if (plan.batches.length === 0) return;
  const directories = new Set(plan.batches.map((batch) => treePath(batch.into)));
  const before = await Promise.all([...directories].map((path) => statDirectory(tree, path)));
  // In a directory with the set-group-ID bit new files would get its group instead of 0.
  const grouped = before.filter(({ mode }) => (mode & 0o2000) !== 0);
  for (const { path, mode } of grouped) await tree.chmod(path, mode & 0o5777);
  await context.sandbox.run({
    tool: 'sh',
    argv: ['-eu', '-s'],
    input: copyScript(plan.batches, copy.ownership),
    mounts: [buildrootMount(root), { source: copy.source, target: plan.mountedAt, mode: 'ro' }],
    purpose: `copying ${copy.source} into the image`,
  });
  for (const { path, mode } of grouped) await tree.chmod(path, mode);
  for (const { path, atime, mtime } of before) await utimes(join(root, path), atime, mtime);
}

/** A shell script of cp commands for these batches. */
export function copyScript(batches: readonly CopyBatch[], ownership: TreeCopy['ownership']): string {
  const options = [
    '--archive',
    '--remove-destination',
    '--reflink=auto',
    ...(ownership === 'root' ? ['--no-preserve=ownership,timestamps,xattr'] : []),
  ].join(' ');
  const lines: string[] = [];
  for (const { from, into, names } of batches) {
    for (let start = 0; start < names.length; start += namesPerCommand) {
      const sources = names
        .slice(start, start + namesPerCommand)
        .map((name) => quoted(join(sourceMount, from, name)));
      lines.push(
        `cp ${options} --target-directory=${quoted(join(buildroot, into))} -- ${sources.join(' ')}\n`,
      );
    }
  }
  return lines.join('');
}

/**
 * Which entries cp can take as a whole, and where they go. Looks only into directories that source and tree both have.
 * Missing directories that links of the tree or the target lead to are made.
 * @throws MkimgError as copyIntoTree().
 */
export async function planCopy(copy: TreeCopy, tree: Tree): Promise<CopyPlan> {
  const stats = await statSource(copy.source);
  if (!stats.isDirectory()) return planFile(copy, tree);
  const planning: Planning = { tree, source: copy.source, batches: [] };
  await planDirectory(planning, '', await realDirectory(tree, copy.target, stats.mode & 0o7777));
  return { mountedAt: sourceMount, batches: planning.batches };
}

interface Planning {
  readonly tree: Tree;
  readonly source: HostPath;
  readonly batches: CopyBatch[];
}

async function planFile({ source, target }: TreeCopy, tree: Tree): Promise<CopyPlan> {
  const name = basename(target === '' ? source : target);
  const into = await realDirectory(tree, parentOf(target));
  const path = treePath(join(into, name));
  if ((await tree.type(path)) === 'directory') throw conflict(source, path, 'a directory');
  // Mounted under the name that the copy gets, so that files need no other kind of command.
  return { mountedAt: join(sourceMount, name), batches: [{ from: '', into, names: [name] }] };
}

async function planDirectory(planning: Planning, from: string, into: string): Promise<void> {
  const { tree, source, batches } = planning;
  const present = new Map((await tree.list(treePath(into))).map((entry) => [entry.name, entry.type]));
  const entries = await readdir(join(source, from), { withFileTypes: true });
  const names: string[] = [];
  const shared: string[] = [];
  for (const entry of entries.sort((left, right) => byBytes(left.name, right.name))) {
    const path = join(source, from, entry.name);
    if (entry.name.includes('\uFFFD')) throw unreadableName(path);
    const there = present.get(entry.name);
    const isConflict = entry.isDirectory() ? there === 'file' || there === 'other' : there === 'directory';
    if (isConflict)
      throw conflict(path, join(into, entry.name), there === 'directory' ? 'a directory' : 'a file');
    if (entry.isDirectory() && there !== undefined) shared.push(entry.name);
    else names.push(entry.name);
  }
  if (names.length > 0) batches.push({ from, into, names });
  for (const name of shared) {
    await planDirectory(planning, join(from, name), await realDirectory(tree, treePath(join(into, name))));
  }
}

/** The directory that a path of the tree leads to, made when it is missing, as a path without links. */
async function realDirectory(tree: Tree, path: TreePath, mode = 0o755): Promise<string> {
  await tree.mkdir(path, mode);
  return relative(tree.root, await tree.resolve(path));
}

function parentOf(path: TreePath): TreePath {
  return treePath(dirname(`/${path}`));
}

async function statDirectory(
  tree: Tree,
  path: TreePath,
): Promise<{ path: TreePath; mode: number; atime: Date; mtime: Date }> {
  const { mode, atime, mtime } = await lstat(join(tree.root, path));
  return { path, mode: mode & 0o7777, atime, mtime };
}

/** What the user gave as a tree. @throws MkimgError `tree-missing` when there is nothing. */
export async function statSource(source: HostPath): Promise<Stats> {
  try {
    return await stat(source);
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
    throw new MkimgError('tree-missing', `There is no ${source} to copy into the image.`, { cause: error });
  }
}

function conflict(source: string, path: string, there: string): MkimgError {
  return new MkimgError(
    'tree-conflict',
    `Cannot copy ${source} to /${path} of the image: ${there} is in its place.`,
    {
      hint: 'Rename one of them, or remove the one in the image with a script.',
    },
  );
}

function unreadableName(path: string): MkimgError {
  return new MkimgError('bad-file-name', `Cannot copy ${path} into the image: its name is not valid UTF-8.`, {
    hint: 'Rename the file.',
  });
}
