import { constants } from 'node:fs';
import { copyFile, lstat, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { TreePath } from '../base/brand.ts';
import { treePath } from '../base/brand.ts';
import type { Tree } from '../sandbox/tree.ts';
import { treeAt } from '../sandbox/tree.ts';
import { efiName, loaderMissing } from './disk/boot-files.ts';
import { fallbackLoader } from './disk/esp.ts';
import { entryToken } from './entry-token.ts';
import type { TreeStep } from './implementation.ts';

/**
 * Puts systemd-boot into the tree's /efi as `bootctl install --install-source=image --all-architectures` does, which comes
 * down to a few copies: the loader of each architecture under its own and the fallback name, a configuration that changes
 * nothing, the type of the boot entries, and the entry token. What is there already (from the user's trees) stays, but for
 * the loaders themselves. No random seed: it would be the same in all copies of the image.
 */
export const installBootLoader: TreeStep<'install-boot-loader'> = {
  output: 'tree',
  version: 1,
  tools: [],
  async run(inputs, root) {
    const efi = efiName(inputs.architecture);
    const tree = treeAt(root);
    const loaders = systemdBoots((await tree.list(loaderDirectory)).map(({ name }) => name));
    if (!loaders.some((loader) => loader.efi === efi)) throw loaderMissing(efi);
    // As mkosi and systemd have them: not for users to look into.
    await tree.mkdir(treePath('efi'), 0o500);
    await tree.mkdir(treePath('boot'), 0o500);
    for (const { source, targets } of loaders) {
      for (const target of targets)
        await copyInTree(tree, treePath(join(loaderDirectory, source)), treePath(target));
    }
    await writeIfMissing(tree, 'efi/loader/loader.conf', '#timeout 3\n#console-mode keep\n');
    await writeIfMissing(tree, 'boot/loader/entries.srel', 'type1\n');
    await writeIfMissing(tree, 'etc/kernel/entry-token', `${await entryToken(root)}\n`);
  },
};

const loaderDirectory = treePath('usr/lib/systemd/boot/efi');

/** A systemd-boot binary and where it goes. */
export interface Loader {
  readonly efi: string;
  /** Name in usr/lib/systemd/boot/efi. */
  readonly source: string;
  /** Paths in the tree. */
  readonly targets: readonly string[];
}

/** Finds the loaders among file names; a signed one is taken instead of its unsigned twin, as bootctl does. */
export function systemdBoots(names: readonly string[]): readonly Loader[] {
  return names.flatMap((name) => {
    const efi = /^systemd-boot([a-z0-9]+)\.efi$/.exec(name)?.[1];
    if (efi === undefined) return [];
    const signed = `${name}.signed`;
    const source = names.includes(signed) ? signed : name;
    return [{ efi, source, targets: [`efi/EFI/systemd/${name}`, `efi/${fallbackLoader(efi)}`] }];
  });
}

/** Copies a file with its time, so that the result is the same at any hour. */
async function copyInTree(tree: Tree, source: TreePath, target: TreePath): Promise<void> {
  await tree.mkdir(treePath(join(target, '..')));
  const from = await tree.resolve(source);
  const { atime, mtime } = await lstat(from);
  // Names are resolved in the tree, and a link in the last place is removed instead of followed.
  const to = join(
    await tree.resolve(treePath(join(target, '..'))),
    join('/', target).split('/').at(-1) ?? '',
  );
  await rm(to, { force: true });
  await copyFile(from, to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
  await utimes(to, atime, mtime);
}

async function writeIfMissing(tree: Tree, path: string, content: string): Promise<void> {
  if ((await tree.type(treePath(path))) === undefined) await tree.writeText(treePath(path), content);
}
