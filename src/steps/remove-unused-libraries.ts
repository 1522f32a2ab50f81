import { readlinkSync } from 'node:fs';
import { posix } from 'node:path';
import { treePath } from '../base/brand.ts';
import { isErrno, MkimgError } from '../base/errors.ts';
import { openSource } from '../formats/bytes.ts';
import { dlopenNotes } from '../formats/dlopen.ts';
import { isElf, openElf } from '../formats/elf-file.ts';
import { treeAt } from '../sandbox/tree.ts';
import { mayBeLoaded } from './dlopen/tree.ts';
import type { LinkedFile } from './dlopen/unused.ts';
import { unusedLibraries } from './dlopen/unused.ts';
import type { TreeStep } from './implementation.ts';
import { walkTree } from './walk.ts';

/** Removes libraries that RemoveUnusedLibraries= names and that nothing in the tree is linked to, or says that it opens. */
export const removeUnusedLibraries: TreeStep<'remove-unused-libraries'> = {
  output: 'tree',
  version: 1,
  tools: [],
  async run({ patterns }, root, { signal }) {
    const files: LinkedFile[] = [];
    const links = new Map<string, string>();
    for await (const { path, file, stats } of walkTree(root, signal)) {
      const name = path.toString('utf8');
      if (stats.isSymbolicLink()) links.set(name, linkTarget(name, readlinkSync(file, 'utf8')));
      else if (stats.isFile() && mayBeLoaded(name, stats.mode)) files.push(...linkedFile(name, file));
    }
    const tree = treeAt(root);
    for (const path of unusedLibraries(files, links, patterns)) await tree.remove(treePath(path));
  },
};

/** Links of libraries lead from one name to another in the same directory; others do not matter here. */
function linkTarget(path: string, target: string): string {
  return target.startsWith('/') ? target.slice(1) : posix.join(posix.dirname(path), target);
}

/** Nothing for what is no sound ELF file: the loader takes no such thing either. */
function linkedFile(path: string, file: Buffer): LinkedFile[] {
  try {
    using source = openSource(file);
    if (!isElf(source)) return [];
    const elf = openElf(source);
    const dynamic = elf.dynamic();
    const opened = dlopenNotes(elf).flatMap(({ sonames }) => sonames);
    return [{ path, soname: dynamic?.soname, wants: [...(dynamic?.needed ?? []), ...opened] }];
  } catch (error) {
    if (error instanceof MkimgError || isErrno(error, 'EACCES', 'ENOENT')) return [];
    throw error;
  }
}
