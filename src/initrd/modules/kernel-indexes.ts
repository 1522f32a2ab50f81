import { readFile } from 'node:fs/promises';
import type { TreePath } from '../../base/brand.ts';
import { treePath } from '../../base/brand.ts';
import { namesIn } from '../../base/files.ts';
import type { ModinfoField } from '../../formats/kmod.ts';
import { parseBuiltinModinfo, parseModuleList, parseModulesDep, parseRelations } from '../../formats/kmod.ts';
import type { KmodIndex } from '../../formats/kmod-index-reader.ts';
import { openKmodIndex } from '../../formats/kmod-index-reader.ts';
import { noModuleIndex } from '../../steps/kernel-modules/read-indexes.ts';
import { aliasIndex } from '../../steps/kernel-modules/reduced-indexes.ts';
import type { ModuleIndexes } from '../../steps/kernel-modules/closure.ts';
import { moduleDirectory } from '../../steps/kernels.ts';
import type { Tree } from '../../sandbox/tree.ts';

/** What is known of a kernel's modules without looking into one of them. */
export interface KernelIndexes extends ModuleIndexes {
  readonly version: string;
  /** Relative to the tree. */
  readonly directory: TreePath;
  /** Names of what is built into the kernel. */
  readonly builtin: ReadonlySet<string>;
  readonly builtinFields: ReadonlyMap<string, readonly ModinfoField[]>;
  /** The files of depmod and of the kernel's build beside the modules, by name: all that is called `modules.*`. */
  readonly files: readonly string[];
}

/**
 * Reads what depmod wrote for a kernel. A kernel without modules is fine.
 * @throws MkimgError `no-module-index` when there are modules but no modules.dep; `bad-module-index`.
 */
export async function readKernelIndexes(tree: Tree, version: string): Promise<KernelIndexes> {
  const directory = moduleDirectory(version);
  const files = (await namesIn(await tree.resolve(directory))).filter((name) => name.startsWith('modules.'));
  const text = async (name: string): Promise<string> =>
    files.includes(name) ? ((await tree.readText(treePath(`${directory}/${name}`))) ?? '') : '';
  if (!files.includes('modules.dep') && (await tree.type(treePath(`${directory}/kernel`))) === 'directory')
    throw noModuleIndex(version);
  const aliases = await readAliases(tree, { directory, files, text });
  const builtinFields = parseBuiltinModinfo(await text('modules.builtin.modinfo'));
  return {
    ...{ version, directory, builtinFields, files: files.sort() },
    modules: parseModulesDep(await text('modules.dep')),
    softdeps: parseRelations(await text('modules.softdep')),
    weakdeps: parseRelations(await text('modules.weakdep')),
    builtin: parseModuleList(await text('modules.builtin')),
    namesByAlias: (alias) => aliases.lookup(alias.replaceAll('-', '_')),
  };
}

interface AliasRequest {
  readonly directory: TreePath;
  readonly files: readonly string[];
  readonly text: (name: string) => Promise<string>;
}

/** The binary index answers a question without reading the rest; where depmod left only the text, it is made from that. */
async function readAliases(tree: Tree, { directory, files, text }: AliasRequest): Promise<KmodIndex> {
  const binary = 'modules.alias.bin';
  const content = files.includes(binary)
    ? await readFile(await tree.resolve(treePath(`${directory}/${binary}`)))
    : aliasIndex(await text('modules.alias'));
  return openKmodIndex(content);
}
