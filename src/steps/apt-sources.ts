import { treePath } from '../base/brand.ts';
import { treeAt } from '../sandbox/tree.ts';
import type { TreeStep } from './implementation.ts';
import { installedPackages } from './installed-packages.ts';

const sourcesFile = treePath('etc/apt/sources.list.d/debian.sources');

/** Tells the image's apt, where it has one, which repositories its packages came from. A file of the user's stays. */
export const aptSources: TreeStep<'apt-sources'> = {
  output: 'tree',
  version: 1,
  tools: [],
  async run({ text }, root) {
    const tree = treeAt(root);
    const hasApt = (await installedPackages(tree)).some(({ name }) => name === 'apt');
    if (!hasApt || (await tree.type(sourcesFile)) !== undefined) return;
    await tree.writeText(sourcesFile, text);
  },
};
