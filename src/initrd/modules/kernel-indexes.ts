import { readFile } from 'node:fs/promises';
import type { TreePath } from '../../base/brand.ts';
import { treePath } from '../../base/brand.ts';
import { MkimgError } from '../../base/errors.ts';
import { namesIn } from '../../base/files.ts';
import type { KernelModule, ModinfoField } from '../../formats/kmod.ts';
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
 * Reads what depmod wrote for a kernel, in text or binary form. A kernel without modules is fine.
 * @throws MkimgError `no-module-index` when there are modules but no modules.dep; `bad-module-index`.
 */
export async function readKernelIndexes(tree: Tree, version: string): Promise<KernelIndexes> {
  const directory = moduleDirectory(version);
  const files = (await namesIn(await tree.resolve(directory))).filter((name) => name.startsWith('modules.'));
  const text = async (name: string): Promise<string> =>
    files.includes(name) ? ((await tree.readText(treePath(`${directory}/${name}`))) ?? '') : '';
  const binary = (name: string): Promise<Buffer> => readBinary(tree, treePath(`${directory}/${name}`));
  const hasModules = (await tree.type(treePath(`${directory}/kernel`))) === 'directory';
  const isIndexed = ['modules.dep', 'modules.dep.bin'].some((name) => files.includes(name));
  if (hasModules && !isIndexed) throw noModuleIndex(version);
  const modules = parseModulesDep(
    files.includes('modules.dep') || !isIndexed
      ? await text('modules.dep')
      : openKmodIndex(await binary('modules.dep.bin'))
          .values()
          .join('\n'),
  );
  const order = parseModuleList(await text('modules.order'));
  requireKnownCompression(version, { hasModules, modules, order });
  const aliases = await readAliases({ files, text, binary });
  const builtinFields = parseBuiltinModinfo(await text('modules.builtin.modinfo'));
  return {
    ...{ version, directory, builtinFields, files: files.sort() },
    modules,
    softdeps: parseRelations(await text('modules.softdep')),
    weakdeps: parseRelations(await text('modules.weakdep')),
    builtin: parseModuleList(await text('modules.builtin')),
    namesByAlias: (alias) => aliases.lookup(alias.replaceAll('-', '_')),
  };
}

async function readBinary(tree: Tree, path: TreePath): Promise<Buffer> {
  return readFile(await tree.resolve(path));
}

interface Listed {
  readonly hasModules: boolean;
  readonly modules: ReadonlyMap<string, KernelModule>;
  /** What the kernel was built with. */
  readonly order: ReadonlySet<string>;
}

/** depmod passes over what it cannot read: without a word, no module would be there. */
function requireKnownCompression(version: string, { hasModules, modules, order }: Listed): void {
  const strange = [...modules.values()].find(({ path }) => !modulePath.test(path))?.path;
  if (strange === undefined && (modules.size > 0 || order.size === 0 || !hasModules)) return;
  const what = strange ?? `${order.size} modules, of which depmod found none,`;
  throw new MkimgError(
    'bad-module',
    `Kernel ${version} has ${what} in a form that neither the kernel nor mkimg knows.`,
    {
      hint: 'Modules are called NAME.ko, or NAME.ko.xz, NAME.ko.zst and NAME.ko.gz when they are compressed.',
    },
  );
}

const modulePath = /\.ko(?:\.(?:xz|zst|gz))?$/;

interface AliasRequest {
  readonly files: readonly string[];
  readonly text: (name: string) => Promise<string>;
  readonly binary: (name: string) => Promise<Buffer>;
}

/** The binary index answers a question without reading the rest; where depmod left only the text, it is made from that. */
async function readAliases({ files, text, binary }: AliasRequest): Promise<KmodIndex> {
  const name = 'modules.alias.bin';
  if (files.includes(name)) return openKmodIndex(await binary(name));
  return openKmodIndex(aliasIndex(await text('modules.alias'), await text('modules.dep')));
}
