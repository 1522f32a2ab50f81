import { lstat } from 'node:fs/promises';
import type { HostPath, TreePath } from '../base/brand.ts';
import { treePath } from '../base/brand.ts';
import { compareVersions } from '../base/version.ts';
import { openSource } from '../formats/bytes.ts';
import type { KernelImage } from '../formats/kernel.ts';
import { detectKernel } from '../formats/kernel.ts';
import type { Tree } from '../sandbox/tree.ts';

/** Where everything of one kernel is. */
export function moduleDirectory(version: string): TreePath {
  return treePath(`usr/lib/modules/${version}`);
}

/** Names of the directories below usr/lib/modules, oldest version first. */
export async function moduleVersions(tree: Tree): Promise<readonly string[]> {
  const entries = await tree.list(treePath('usr/lib/modules'));
  return entries
    .filter((entry) => entry.type === 'directory')
    .map((entry) => entry.name)
    .sort(compareVersions);
}

export interface FoundKernel {
  readonly version: string;
  readonly path: HostPath;
  readonly image: KernelImage;
}

/** Distributions name the image after its format; place-kernels calls every one `vmlinuz`. */
const imageNames = ['vmlinuz', 'vmlinux', 'Image'] as const;

/** The kernels below usr/lib/modules that are what their names say, oldest first. */
export async function findKernels(tree: Tree): Promise<readonly FoundKernel[]> {
  const kernels: FoundKernel[] = [];
  for (const version of await moduleVersions(tree)) {
    for (const name of imageNames) {
      const path = await tree.resolve(treePath(`${moduleDirectory(version)}/${name}`));
      const image = await kernelAt(path);
      if (image === undefined) continue;
      kernels.push({ version, path, image });
      break;
    }
  }
  return kernels;
}

/** What kernel a resolved path holds; undefined when it is no regular file, or no kernel. */
export async function kernelAt(path: HostPath): Promise<KernelImage | undefined> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats?.isFile() !== true) return undefined;
  using source = openSource(path);
  return detectKernel(source);
}
