import { readFile } from 'node:fs/promises';
import { treePath } from '../../base/brand.ts';
import { MkimgError } from '../../base/errors.ts';
import { parseModulesDep, parsePlainAliases, parseRelations } from '../../formats/kmod.ts';
import type { DepmodTexts } from './reduced-indexes.ts';
import { builtinIndexes, depmodTexts } from './reduced-indexes.ts';
import type { ModuleIndexes } from './closure.ts';
import type { Tree } from '../../sandbox/tree.ts';
import { moduleDirectory } from '../kernels.ts';

/**
 * What depmod wrote for a kernel.
 * @throws MkimgError `no-module-index` when there are modules but no modules.dep.
 */
export async function readDepmodTexts(tree: Tree, version: string): Promise<DepmodTexts> {
  const directory = moduleDirectory(version);
  const texts: Record<keyof DepmodTexts, string> = {
    ...{ 'modules.dep': '', 'modules.alias': '', 'modules.symbols': '', 'modules.softdep': '' },
    ...{ 'modules.weakdep': '', 'modules.devname': '', 'modules.order': '' },
  };
  for (const name of depmodTexts) {
    const text = await tree.readText(treePath(`${directory}/${name}`));
    texts[name] = text ?? '';
    if (name !== 'modules.dep' || text !== undefined) continue;
    if ((await tree.type(treePath(`${directory}/kernel`))) === 'directory') throw noModuleIndex(version);
  }
  return texts;
}

/** A kernel has modules, but nothing says what they are and need. */
export function noModuleIndex(version: string): MkimgError {
  return new MkimgError(
    'no-module-index',
    `Kernel ${version} has modules but no /${moduleDirectory(version)}/modules.dep.`,
    {
      hint:
        'depmod makes it: run `depmod ' +
        version +
        '`, or look for what removed it (a script, RemoveFiles=).',
    },
  );
}

/** Indexes of what is built into the kernel, as they are. */
export async function readBuiltinIndexes(tree: Tree, version: string): Promise<ReadonlyMap<string, Buffer>> {
  const found = new Map<string, Buffer>();
  for (const name of builtinIndexes) {
    const path = treePath(`${moduleDirectory(version)}/${name}`);
    if ((await tree.type(path)) === 'file') found.set(name, await readFile(await tree.resolve(path)));
  }
  return found;
}

export function moduleIndexes(texts: DepmodTexts): ModuleIndexes {
  const aliases = parsePlainAliases(texts['modules.alias']);
  return {
    modules: parseModulesDep(texts['modules.dep']),
    softdeps: parseRelations(texts['modules.softdep']),
    weakdeps: parseRelations(texts['modules.weakdep']),
    namesByAlias: (alias) => aliases.get(alias.replaceAll('-', '_')) ?? [],
  };
}
