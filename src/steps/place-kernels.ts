import { readFile, rename } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { HostPath, TreePath } from '../base/brand.ts';
import { hostPath, treePath } from '../base/brand.ts';
import { openSource } from '../formats/bytes.ts';
import { detectKernel, kernelRelease } from '../formats/kernel.ts';
import type { Tree } from '../sandbox/tree.ts';
import { treeAt } from '../sandbox/tree.ts';
import type { BuildContext, TreeStep } from './implementation.ts';
import { moduleDirectory, moduleVersions } from './kernels.ts';

const boot = treePath('boot');

/**
 * Moves kernels from /boot to /usr/lib/modules/VERSION/vmlinuz, where newer distributions put them anyway, whatever their
 * format. Kernels are told by name and content; everything else in /boot stays. Links such as Debian's /vmlinuz follow.
 */
export const placeKernels: TreeStep<'place-kernels'> = {
  output: 'tree',
  version: 2,
  tools: [],
  async run(_inputs, root, context) {
    const tree = treeAt(root);
    const known = new Set(await moduleVersions(tree));
    const links = await kernelLinks(tree);
    for (const entry of await tree.list(boot)) {
      const nameVersion = entry.type === 'file' ? versionInName(entry.name) : undefined;
      if (nameVersion === undefined) continue;
      const source = hostPath(join(await tree.resolve(boot), entry.name));
      const version = kernelVersion(source, nameVersion, known);
      if (version === undefined) continue;
      const isPlaced = await placeKernel({ tree, source, version, name: entry.name }, context);
      if (isPlaced) await moveLinks(tree, links.get(entry.name) ?? [], version);
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

/** False when it stays in /boot, because another one has its place. */
async function placeKernel(
  { tree, source, version, name }: Placement,
  context: BuildContext,
): Promise<boolean> {
  const path = kernelPath(version);
  if ((await tree.type(path)) === undefined) {
    await tree.mkdir(moduleDirectory(version));
    await rename(source, await tree.resolve(path));
    return true;
  }
  const placed = await tree.resolve(path);
  if ((await readFile(source)).equals(await readFile(placed))) {
    await tree.remove(treePath(`boot/${name}`));
    return true;
  }
  context.events.emit({
    type: 'note',
    level: 'warning',
    code: 'kernel-twice',
    message: `/boot/${name} and /${path} are different kernels of version ${version}; the latter is used`,
  });
  return false;
}

/** Links of / and /boot that lead to a file in /boot, by that file's name. */
async function kernelLinks(tree: Tree): Promise<ReadonlyMap<string, readonly TreePath[]>> {
  const links = new Map<string, TreePath[]>();
  for (const directory of [treePath(''), boot]) {
    for (const entry of await tree.list(directory)) {
      if (entry.type !== 'symlink') continue;
      const path = treePath(join(directory, entry.name));
      const target = posix.resolve('/', directory, (await tree.readLink(path)) ?? '');
      if (posix.dirname(target) === `/${boot}`) {
        const name = posix.basename(target);
        links.set(name, [...(links.get(name) ?? []), path]);
      }
    }
  }
  return links;
}

async function moveLinks(tree: Tree, links: readonly TreePath[], version: string): Promise<void> {
  for (const path of links) {
    await tree.symlink(path, posix.relative(posix.dirname(`/${path}`), `/${kernelPath(version)}`));
  }
}

function kernelPath(version: string): TreePath {
  return treePath(`${moduleDirectory(version)}/vmlinuz`);
}
