import { treeAt } from '../sandbox/tree.ts';
import type { TreeStep } from './implementation.ts';

/** Removes what RemoveFiles= names; directories with all they hold. A pattern that matches nothing is no fault. */
export const removeFiles: TreeStep<'remove-files'> = {
  output: 'tree',
  version: 1,
  tools: [],
  async run(inputs, root) {
    const tree = treeAt(root);
    for (const pattern of inputs.patterns) {
      // Children go with their parents: remove() takes a path that is gone already.
      for (const path of await tree.glob(pattern)) await tree.remove(path);
    }
  },
};
