import { treePath } from '../base/brand.ts';
import type { TreeStep } from './implementation.ts';
import { copyIntoTree } from './tree-copy.ts';

/** Copies the tree that another step made into this one; owners are kept. */
export const mergeTree: TreeStep<'merge-tree'> = {
  output: 'tree',
  version: 1,
  tools: [
    { tool: 'sh', reason: 'to copy files into the image' },
    { tool: 'cp', reason: 'to copy files into the image' },
  ],
  async run(inputs, root, context) {
    await copyIntoTree(
      { source: inputs.source.root, target: treePath(''), ownership: 'kept' },
      root,
      context,
    );
  },
};
