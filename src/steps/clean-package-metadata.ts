import { treePath } from '../base/brand.ts';
import { treeAt } from '../sandbox/tree.ts';
import type { TreeStep } from './implementation.ts';

/** What apt, dpkg and debconf know about the packages of a tree. Without it nothing can be installed or removed any more. */
const metadataPaths = [
  'var/lib/dpkg',
  'var/lib/apt',
  'var/lib/ucf',
  'var/cache/apt',
  'var/cache/debconf',
  'var/log/apt',
  'var/log/dpkg.log',
  'var/log/alternatives.log',
  'var/log/bootstrap.log',
].map(treePath);

/** Removes the package manager's databases, caches and logs (CleanPackageMetadata=). */
export const cleanPackageMetadata: TreeStep<'clean-package-metadata'> = {
  output: 'tree',
  version: 1,
  tools: [],
  async run(_inputs, root) {
    const tree = treeAt(root);
    for (const path of metadataPaths) await tree.remove(path);
  },
};
