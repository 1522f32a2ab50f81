import { dirname } from 'node:path';
import { treeAt } from '../sandbox/tree.ts';
import type { TreeStep } from './implementation.ts';

/** Removes what RemoveFiles= names; directories with all they hold. A pattern that matches nothing is no fault. */
export const removeFiles: TreeStep<'remove-files'> = {
  output: 'tree',
  version: 1,
  tools: [],
  async run(inputs, root) {
    const tree = treeAt(root);
    const removed = new Set<string>();
    for (const path of await tree.globAll(inputs.patterns)) {
      // Parents come first, and take what is below them along.
      if (!isBelow(path, removed)) await tree.remove(path);
      removed.add(path);
    }
  },
};

function isBelow(path: string, directories: ReadonlySet<string>): boolean {
  return directories.has(dirname(path));
}
