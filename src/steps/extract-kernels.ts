import { constants } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { MkimgError } from '../base/errors.ts';
import { treeAt } from '../sandbox/tree.ts';
import type { FileStep } from './implementation.ts';
import { findKernels } from './kernels.ts';

/** The kernels of a tree as they are, each as VERSION.vmlinuz. */
export const extractKernels: FileStep<'extract-kernels'> = {
  output: 'files',
  version: 1,
  tools: [],
  async run({ tree }, target) {
    const kernels = await findKernels(treeAt(tree.root));
    if (kernels.length === 0)
      throw new MkimgError('no-kernel', 'The image holds no kernel in /usr/lib/modules.', {
        hint: 'Add a kernel package to Packages=, such as linux-image-generic on Ubuntu or linux-image-amd64 on Debian.',
      });
    await mkdir(target);
    for (const { version, path } of kernels)
      await copyFile(path, join(target, `${version}.vmlinuz`), constants.COPYFILE_FICLONE);
    return { kernels: kernels.map(({ version, image }) => ({ version, format: image.format })) };
  },
};
