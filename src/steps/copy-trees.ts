import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { HostPath, TreePath } from '../base/brand.ts';
import { hostPath, treePath } from '../base/brand.ts';
import { MkimgError } from '../base/errors.ts';
import type { MadeTreeMapping, Opened } from '../plan/step.ts';
import { treeAt } from '../sandbox/tree.ts';
import { buildrootMount } from './buildroot.ts';
import type { BuildContext, TreeStep } from './implementation.ts';
import { copyIntoTree, statSource } from './tree-copy.ts';

/** Copies directories, files and tar archives into the tree, in the order of the setting. */
export const copyTrees: TreeStep<'copy-trees'> = {
  output: 'tree',
  version: 2,
  tools: [
    { tool: 'sh', reason: 'to copy files into the image' },
    { tool: 'cp', reason: 'to copy files into the image' },
    { tool: 'tar', reason: 'to unpack archives into the image' },
  ],
  async run(inputs, root, context) {
    for (const mapping of inputs.trees) {
      if ('tree' in mapping) await copyMadeTree(mapping, root, context);
      else await copyTree({ ...mapping, source: mapping.source.path }, root, context);
    }
  },
};

/** @throws MkimgError `tree-missing` when the other image does not have the part that is asked for. */
async function copyMadeTree(
  { tree, from, target, ownership }: Opened<MadeTreeMapping>,
  root: HostPath,
  context: BuildContext,
): Promise<void> {
  await copyIntoTree({ source: await treeAt(tree.root).resolve(from), target, ownership }, root, context);
}

interface Mapping {
  readonly source: HostPath;
  readonly target: TreePath;
  readonly ownership?: 'root' | 'kept';
}

async function copyTree(
  { source, target, ownership = 'root' }: Mapping,
  root: HostPath,
  context: BuildContext,
): Promise<void> {
  const kind = sourceKind(basename(source), { directory: (await statSource(source)).isDirectory(), target });
  switch (kind) {
    case 'copy':
      return copyIntoTree({ source, target, ownership }, root, context);
    case 'archive':
      return unpackIntoTree(source, root, context);
    case 'disk-image':
      throw new MkimgError(
        'unsupported-tree',
        `Cannot copy ${source}: disk images as trees are not supported.`,
        {
          hint: 'Unpack it into a directory or a tar archive.',
        },
      );
  }
}

/**
 * How a source is taken, by mkosi's rule: archives are unpacked when no target is given, and copied as files to a target
 * that is.
 */
export function sourceKind(
  name: string,
  { directory, target }: { readonly directory: boolean; readonly target: TreePath },
): 'copy' | 'archive' | 'disk-image' {
  if (directory || target !== '') return 'copy';
  if (/\.(tar(\.[a-z0-9]+)?|t(gz|xz|zst|bz2?))$/i.test(name)) return 'archive';
  return name.endsWith('.raw') ? 'disk-image' : 'copy';
}

/** Content of these is of the running system and is not unpacked; device nodes could not be made in a user namespace. */
const runtimeDirectories = ['dev', 'proc', 'run', 'sys', 'tmp', 'var/tmp'] as const;

/** tar unpacks what it finds at /run/source/archive into /buildroot, with owners, modes and attributes as they stand there. */
export const unpackArgv: readonly string[] = [
  ['--extract', '--file=/run/source/archive', '--directory=/buildroot'],
  ['--numeric-owner', '--same-owner', '--same-permissions', '--acls', '--xattrs', '--xattrs-include=*'],
  ['--keep-directory-symlink', '--no-overwrite-dir', '--anchored'],
  runtimeDirectories.flatMap((path) => [`--exclude=${path}/*`, `--exclude=./${path}/*`]),
].flat();

/**
 * An empty tree is unpacked into directly. Otherwise the archive goes to a scratch directory first: its directories may
 * meet symbolic links in the tree, which tar would follow or replace.
 */
async function unpackIntoTree(archive: HostPath, root: HostPath, context: BuildContext): Promise<void> {
  if ((await readdir(root)).length === 0) return unpack(archive, root, context);
  const scratch = hostPath(await mkdtemp(join(context.work, 'archive-')));
  try {
    await unpack(archive, scratch, context);
    await copyIntoTree({ source: scratch, target: treePath(''), ownership: 'kept' }, root, context);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function unpack(archive: HostPath, into: HostPath, context: BuildContext): Promise<void> {
  await context.sandbox.run({
    tool: 'tar',
    argv: unpackArgv,
    mounts: [buildrootMount(into), { source: archive, target: '/run/source/archive', mode: 'ro' }],
    purpose: `unpacking ${archive}`,
  });
}
