import { join } from 'node:path';
import type { TreePath } from '../base/brand.ts';
import { treePath } from '../base/brand.ts';
import { unreachable } from '../base/errors.ts';
import type { Tree } from '../sandbox/tree.ts';
import { treeAt } from '../sandbox/tree.ts';
import type { TreeStep } from './implementation.ts';
import type { Trace } from './traces.ts';
import { traces } from './traces.ts';
import { replaceText } from './tree-files.ts';

/** Removes what the build machine and the package manager left in the tree; traces.ts says what and why. */
export const cleanTraces: TreeStep<'clean-traces'> = {
  output: 'tree',
  version: 1,
  tools: [],
  async run(_inputs, root) {
    const tree = treeAt(root);
    for (const trace of traces) {
      const kept = new Set((await globAll(tree, trace.except ?? [])).map(String));
      for (const path of await globAll(tree, trace.paths)) {
        if (!kept.has(path)) await clean({ tree, trace, kept }, path);
      }
    }
  },
};

async function globAll(tree: Tree, patterns: readonly string[]): Promise<readonly TreePath[]> {
  return (await Promise.all(patterns.map((pattern) => tree.glob(pattern)))).flat();
}

interface Cleaning {
  readonly tree: Tree;
  readonly trace: Trace;
  readonly kept: ReadonlySet<string>;
}

async function clean(cleaning: Cleaning, path: TreePath): Promise<void> {
  const { tree, trace } = cleaning;
  switch (trace.action) {
    case 'remove':
      return tree.remove(path);
    case 'empty':
      return removeContent(tree, path);
    case 'remove-files':
      return removeFiles(cleaning, path);
    case 'truncate':
      return (await tree.type(path)) === 'file' ? replaceText(tree, path, '') : undefined;
    case 'remove-if-empty':
      return (await isEmptyFile(tree, path)) ? tree.remove(path) : undefined;
    default:
      return unreachable(trace.action);
  }
}

async function removeContent(tree: Tree, directory: TreePath): Promise<void> {
  // A link, such as /tmp -> /var/tmp, is not what is meant; its target has a row of its own.
  if ((await tree.type(directory)) !== 'directory') return;
  for (const { name } of await tree.list(directory)) await tree.remove(treePath(join(directory, name)));
}

async function removeFiles(cleaning: Cleaning, directory: TreePath): Promise<void> {
  const { tree, kept } = cleaning;
  if ((await tree.type(directory)) !== 'directory') return;
  for (const { name, type } of await tree.list(directory)) {
    const path = treePath(join(directory, name));
    if (type === 'directory') await removeFiles(cleaning, path);
    else if (!kept.has(path)) await tree.remove(path);
  }
}

async function isEmptyFile(tree: Tree, path: TreePath): Promise<boolean> {
  return (await tree.type(path)) === 'file' && (await tree.readText(path)) === '';
}
