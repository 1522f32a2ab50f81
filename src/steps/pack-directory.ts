import { lstatSync } from 'node:fs';
import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { allOf } from '../base/concurrency.ts';
import type { Mount } from '../sandbox/types.ts';
import type { BuildContext, TreeStep } from './implementation.ts';
import { buildroot } from './script-environment.ts';

const copyInside = '/copy';

/** Copies the tree into an empty one, so that nothing of it depends on other layers; times after the epoch become it. */
export const packDirectory: TreeStep<'pack-directory'> = {
  output: 'tree',
  version: 1,
  tools: [
    { tool: 'cp', reason: 'to copy the tree' },
    { tool: 'find', reason: 'to find files newer than SOURCE_DATE_EPOCH' },
    { tool: 'touch', reason: 'to set the times of files' },
  ],
  async run({ tree, epoch }, root, context) {
    const isWhole = canBeDivided(tree.root, context) && (await copyInHalves(tree.root, root, context));
    if (!isWhole) await copy(tree.root, root, { context });
    await context.sandbox.run({
      tool: 'find',
      argv: clampArgv(copyInside, epoch),
      mounts: [copyMount(root)],
      purpose: 'setting the times of files',
    });
  },
};

/** `find` that sets every time after the epoch (in seconds) back to it. */
export function clampArgv(tree: string, epoch: number): string[] {
  return [
    [tree, '-newermt', `@${epoch}`],
    ['-exec', 'touch', '--no-dereference', `--date=@${epoch}`, '{}', '+'],
  ].flat();
}

function treeMount(source: HostPath): Mount {
  return { source, target: buildroot, mode: 'ro' };
}

function copyMount(source: HostPath): Mount {
  return { source, target: copyInside, mode: 'dev' };
}

async function copy(
  source: HostPath,
  target: HostPath,
  { context, hidden = [] }: { readonly context: BuildContext; readonly hidden?: readonly Mount[] },
): Promise<void> {
  await context.sandbox.run({
    tool: 'cp',
    argv: ['--archive', '--reflink=auto', '--no-target-directory', buildroot, copyInside],
    mounts: [treeMount(source), ...hidden, copyMount(target)],
    purpose: 'copying the tree',
  });
}

/** Holds half of the files of most systems, and the smaller ones. */
const half = 'usr/share';

function canBeDivided(tree: HostPath, { jobs }: BuildContext): boolean {
  return jobs > 1 && isDirectory(join(tree, 'usr')) && isDirectory(join(tree, half));
}

function isDirectory(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Copies with two processes. False where a file with names in both halves became two files: then `root` is empty again. */
async function copyInHalves(tree: HostPath, root: HostPath, context: BuildContext): Promise<boolean> {
  const nothing = hostPath(join(context.work, 'nothing'));
  const other = hostPath(join(context.work, 'other-half'));
  for (const path of [nothing, other]) await mkdir(path);
  const hidden: readonly Mount[] = [{ source: nothing, target: join(buildroot, half), mode: 'ro' }];
  const [names] = await allOf([
    () => linkedNames(tree, context),
    () => copy(tree, root, { context, hidden }).then(() => []),
    () => copy(hostPath(join(tree, half)), other, { context }).then(() => []),
  ]);
  if (crosses(names ?? [], `${half}/`)) {
    for (const name of await readdir(root)) await rm(join(root, name), { recursive: true });
    return false;
  }
  await rmdir(join(root, half));
  await rename(other, join(root, half));
  await context.sandbox.run({
    tool: 'touch',
    argv: ['--no-dereference', `--reference=${join(buildroot, 'usr')}`, join(copyInside, 'usr')],
    mounts: [treeMount(tree), copyMount(root)],
    purpose: 'setting the time of /usr',
  });
  return true;
}

/** All files with several names, further ones in the packages that they come from included, as `INODE PATH`. */
async function linkedNames(tree: HostPath, { sandbox }: BuildContext): Promise<readonly string[]> {
  const { stdout } = await sandbox.run({
    tool: 'find',
    argv: [buildroot, '!', '-type', 'd', '-links', '+1', '-printf', '%i %P\\0'],
    mounts: [treeMount(tree)],
    stdout: 'capture',
    purpose: 'looking for files with several names',
  });
  return stdout.split('\0');
}

/** Whether an inode has a path below `directory` and one outside of it. `names` are `INODE PATH`. */
export function crosses(names: readonly string[], directory: string): boolean {
  const inodesOf = (isInside: boolean): readonly string[] =>
    names.flatMap((name) => {
      const blank = name.indexOf(' ');
      return blank > 0 && name.startsWith(directory, blank + 1) === isInside ? [name.slice(0, blank)] : [];
    });
  const inside = new Set(inodesOf(true));
  return inodesOf(false).some((inode) => inside.has(inode));
}
