import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath, treePath } from '../base/brand.ts';
import { openSource } from '../formats/bytes.ts';
import { detectKernel, kernelRelease } from '../formats/kernel.ts';
import type { Tree } from '../sandbox/tree.ts';
import { treeAt } from '../sandbox/tree.ts';
import type { BuildContext, TreeStep } from './implementation.ts';
import { moduleDirectory, moduleVersions } from './kernels.ts';

/**
 * Moves kernels from /boot to /usr/lib/modules/VERSION/vmlinuz, where newer distributions put them anyway, whatever their
 * format. Kernels are told by name and content; everything else in /boot stays.
 */
export const placeKernels: TreeStep<'place-kernels'> = {
  output: 'tree',
  version: 1,
  tools: [],
  async run(_inputs, root, context) {
    const tree = treeAt(root);
    const known = new Set(await moduleVersions(tree));
    const boot = treePath('boot');
    for (const entry of await tree.list(boot)) {
      const nameVersion = entry.type === 'file' ? versionInName(entry.name) : undefined;
      if (nameVersion === undefined) continue;
      const source = hostPath(join(await tree.resolve(boot), entry.name));
      const version = kernelVersion(source, nameVersion, known);
      if (version !== undefined) await placeKernel({ tree, source, version, name: entry.name }, context);
    }
  },
};

/** `vmlinuz-6.12.1`, `vmlinux-...` (riscv64, ppc64el), `Image-...`. */
export function versionInName(name: string): string | undefined {
  return /^(?:vmlinu[xz]|[zb]?Image|kernel)-(.+)$/.exec(name)?.[1];
}

/** A copy such as `vmlinuz-6.1.old` has a name without modules; what the image itself says decides then. */
function kernelVersion(path: HostPath, nameVersion: string, known: ReadonlySet<string>): string | undefined {
  using source = openSource(path);
  const image = detectKernel(source);
  if (image === undefined || image.format === 'uki') return undefined;
  if (known.has(nameVersion)) return nameVersion;
  const release = kernelRelease(source, image.format);
  return release === undefined || release.includes('/') ? nameVersion : release;
}

interface Placement {
  readonly tree: Tree;
  readonly source: HostPath;
  readonly version: string;
  readonly name: string;
}

async function placeKernel({ tree, source, version, name }: Placement, context: BuildContext): Promise<void> {
  const path = treePath(`${moduleDirectory(version)}/vmlinuz`);
  if ((await tree.type(path)) === undefined) {
    await tree.mkdir(moduleDirectory(version));
    await rename(source, await tree.resolve(path));
    return;
  }
  const placed = await tree.resolve(path);
  if ((await readFile(source)).equals(await readFile(placed))) {
    await tree.remove(treePath(`boot/${name}`));
    return;
  }
  context.events.emit({
    type: 'note',
    level: 'warning',
    code: 'kernel-twice',
    message: `/boot/${name} and /${path} are different kernels of version ${version}; the latter is used`,
  });
}
