import { treePath } from '../base/brand.ts';
import { treeAt } from '../sandbox/tree.ts';
import type { Tree } from '../sandbox/tree.ts';
import type { BuildContext, TreeStep } from './implementation.ts';

/**
 * /init, which the kernel starts in an initrd, and for a real initrd etc/initrd-release, by which systemd knows that it
 * shall go on to another root. Either is left alone when the tree has it.
 */
export const makeInitrd: TreeStep<'make-initrd'> = {
  output: 'tree',
  version: 2,
  tools: [],
  async run(inputs, root, context) {
    const tree = treeAt(root);
    if (inputs.isInitrd) await linkRelease(tree);
    await linkInit(tree, context);
  },
};

async function linkRelease(tree: Tree): Promise<void> {
  const release = treePath('etc/initrd-release');
  if ((await tree.type(release)) !== undefined) return;
  const hasEtc = await tree.exists(treePath('etc/os-release'));
  await tree.symlink(release, hasEtc ? 'os-release' : '../usr/lib/os-release');
}

async function linkInit(tree: Tree, { events }: BuildContext): Promise<void> {
  const init = treePath('init');
  if ((await tree.type(init)) !== undefined) return;
  const systemd = 'usr/lib/systemd/systemd';
  if (await tree.exists(treePath(systemd))) return tree.symlink(init, systemd);
  events.emit({
    type: 'note',
    level: 'warning',
    code: 'initrd-without-init',
    message: 'The initrd has neither /init nor systemd: the kernel will find nothing to start.',
    hint: 'Add systemd to Packages=, or put /init into an extra tree.',
  });
}
