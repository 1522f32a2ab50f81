import { readdirSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath, TreePath } from '../base/brand.ts';
import { treePath } from '../base/brand.ts';
import { parseModulesDep } from '../formats/kmod.ts';
import type { Mount } from '../sandbox/types.ts';
import type { Tree } from '../sandbox/tree.ts';
import { treeAt } from '../sandbox/tree.ts';
import type { BuildContext, TreeStep } from './implementation.ts';
import { moduleDirectory, moduleVersions } from './kernels.ts';
import {
  configurationDirectories,
  configurationMount,
  isModule,
  knownDigest,
  moduleIndexes,
} from './module-indexes.ts';

/** Module indexes for each kernel whose indexes are missing or do not list what is there. */
export const depmod: TreeStep<'depmod'> = {
  output: 'tree',
  version: 2,
  tools: [{ tool: 'depmod', reason: 'indexing kernel modules' }],
  async run(_inputs, root, context) {
    const tree = treeAt(root);
    const configuration = await configurationMounts(tree);
    for (const version of await moduleVersions(tree)) {
      if (await isIndexed(tree, version)) continue;
      await index(version, { tree, configuration, context });
    }
  },
};

interface Indexing {
  readonly tree: Tree;
  readonly configuration: readonly Mount[];
  readonly context: BuildContext;
}

async function index(version: string, { tree, configuration, context }: Indexing): Promise<void> {
  const kernel = { version, modules: await tree.resolve(treePath('usr/lib/modules')), configuration };
  const indexes = await moduleIndexes(
    kernel,
    await knownDigest(kernel, await context.stateOf('kernel'), context),
    context,
  );
  for (const name of await readdir(indexes)) {
    const target = inDirectory(moduleDirectory(version), name);
    await tree.writeText(target, await readFile(join(indexes, name)));
  }
}

/** depmod would read the configuration of the tools; a kernel's modules are searched as its own system says. */
async function configurationMounts(tree: Tree): Promise<readonly Mount[]> {
  const mounts: Mount[] = [];
  for (const directory of configurationDirectories) {
    if ((await tree.list(treePath(directory))).length === 0) continue;
    mounts.push(configurationMount(directory, await tree.resolve(treePath(directory))));
  }
  return mounts;
}

const indexFiles = ['modules.dep.bin', 'modules.alias.bin', 'modules.symbols.bin', 'modules.builtin.bin'];

/** Packages run depmod themselves where maintainer scripts run; extra trees may bring modules afterwards. */
async function isIndexed(tree: Tree, version: string): Promise<boolean> {
  const directory = moduleDirectory(version);
  const onDisk = modulesOnDisk(await tree.resolve(directory));
  // A kernel without loadable modules: nothing to index.
  if (onDisk.length === 0) return true;
  for (const name of indexFiles) {
    if (!(await tree.exists(inDirectory(directory, name)))) return false;
  }
  const dependencies = await tree.readText(inDirectory(directory, 'modules.dep'));
  const listed = new Set([...parseModulesDep(dependencies ?? '').values()].map((module) => module.path));
  return listed.size === onDisk.length && onDisk.every((path) => listed.has(path));
}

function inDirectory(directory: TreePath, name: string): TreePath {
  return treePath(`${directory}/${name}`);
}

/** Synchronous calls: a kernel has hundreds of directories, and each costs less than a turn of the event loop. */
function modulesOnDisk(directory: HostPath): readonly string[] {
  const found: string[] = [];
  const pending = [''];
  for (let here = pending.pop(); here !== undefined; here = pending.pop()) {
    for (const entry of readdirSync(join(directory, here), { withFileTypes: true })) {
      const path = here === '' ? entry.name : `${here}/${entry.name}`;
      // `build` and `source` are links to kernel sources: links to directories are not entered.
      if (entry.isDirectory()) pending.push(path);
      else if (isModule(entry.name)) found.push(path);
    }
  }
  return found;
}
