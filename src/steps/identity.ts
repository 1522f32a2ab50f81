import { treePath } from '../base/brand.ts';
import { MkimgError } from '../base/errors.ts';
import type { Tree } from '../sandbox/tree.ts';
import { treeAt } from '../sandbox/tree.ts';
import { withAssignments } from './assignments.ts';
import type { TreeStep } from './implementation.ts';
import { editText } from './tree-files.ts';

/** Where os-release(5) may be. Only regular files are edited: links among them lead to one that is. */
const releaseFiles = ['usr/lib/os-release', 'usr/lib/initrd-release', 'etc/os-release'] as const;

/**
 * Says what the image is: etc/machine-id, additions to os-release(5), and usr/lib/clock-epoch, whose time tells systemd
 * how old the image is at least.
 * @throws MkimgError `tree-not-populated` when there is no os-release: then there is no operating system either.
 */
export const identity: TreeStep<'identity'> = {
  output: 'tree',
  version: 1,
  tools: [],
  async run(inputs, root) {
    const tree = treeAt(root);
    await editOsRelease(tree, {
      IMAGE_ID: inputs.imageId,
      IMAGE_VERSION: inputs.imageVersion,
      DEFAULT_HOSTNAME: inputs.hostname,
    });
    await tree.writeText(treePath('etc/machine-id'), `${inputs.machineId}\n`, 0o444);
    await tree.remove(treePath('var/lib/dbus/machine-id'));
    await tree.writeText(treePath('usr/lib/clock-epoch'), '');
  },
};

async function editOsRelease(
  tree: Tree,
  values: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  let found = false;
  for (const file of releaseFiles) {
    const path = treePath(file);
    if ((await tree.type(path)) !== 'file') continue;
    found = true;
    await editText(tree, path, (text) => withAssignments(text, values));
  }
  if (!found) {
    throw new MkimgError('tree-not-populated', 'The image has no usr/lib/os-release.', {
      hint: 'Packages=, BaseTrees=, SkeletonTrees= or a prepare script must put an operating system into it.',
    });
  }
}
