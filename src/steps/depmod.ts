import { readdirSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath, TreePath } from '../base/brand.ts';
import { hostPath, treePath } from '../base/brand.ts';
import { parseModulesDep } from '../formats/kmod.ts';
import type { Mount, RunRequest } from '../sandbox/types.ts';
import type { Tree } from '../sandbox/tree.ts';
import { treeAt } from '../sandbox/tree.ts';
import { contentDigest } from './content-digest.ts';
import type { BuildContext, TreeStep } from './implementation.ts';
import { moduleDirectory, moduleVersions } from './kernels.ts';

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

/** Decompressing and reading all modules takes long, so the indexes are kept for other trees with the same modules. */
async function index(version: string, { tree, configuration, context }: Indexing): Promise<void> {
  const { signal } = context;
  const directory = await tree.resolve(moduleDirectory(version));
  const part = {
    kind: 'module-indexes',
    version: 1,
    label: `indexes of the modules of kernel ${version}`,
    identity: {
      kernel: version,
      modules: await modulesDigest(version, directory, context),
      configuration: await Promise.all(
        configuration.map(({ source }) => contentDigest(source, { counts: () => true, signal })),
      ),
    },
    byTools: true,
  };
  const [indexes] = await context.parts.obtain([part], async () => {
    const modules = await tree.resolve(treePath('usr/lib/modules'));
    await context.sandbox.run(depmodRun({ version, modules, configuration }));
    const kept = hostPath(join(context.work, 'indexes'));
    await mkdir(kept);
    for (const name of await madeIndexes(directory)) await copyFile(join(directory, name), join(kept, name));
    return [kept];
  });
  if (indexes === undefined) throw new Error('internal: no module indexes');
  for (const name of await readdir(indexes)) {
    const target = inDirectory(moduleDirectory(version), name);
    await tree.writeText(target, await readFile(join(indexes, name)));
  }
}

/** Reading all modules only to find that they are known takes half a second: what is known of their origin saves it. */
async function modulesDigest(version: string, directory: HostPath, context: BuildContext): Promise<string> {
  const { signal } = context;
  const digest = (): Promise<string> => contentDigest(directory, { counts: isIndexInput, signal });
  const state = await context.stateOf('kernel');
  if (state === undefined) return digest();
  const part = {
    ...{ kind: 'module-digest', version: 1, label: `digest of the modules of kernel ${version}` },
    identity: { kernel: version, state },
    byTools: false,
  };
  const [known] = await context.parts.obtain([part], async () => {
    const made = hostPath(join(context.work, `digest-${version}`));
    await mkdir(made);
    await writeFile(join(made, 'digest'), await digest());
    return [made];
  });
  if (known === undefined) throw new Error('internal: no digest of modules');
  return readFile(join(known, 'digest'), 'utf8');
}

/** What depmod reads, of a kernel's directory: the modules, and lists that came with the kernel. */
function isIndexInput(path: string): boolean {
  return kernelLists.includes(path) || !/^modules\.[^/]*$/.test(path);
}

const kernelLists = ['modules.order', 'modules.builtin', 'modules.builtin.modinfo'];

async function madeIndexes(directory: HostPath): Promise<readonly string[]> {
  return (await readdir(directory)).filter((name) => !isIndexInput(name));
}

const buildRoot = '/buildroot';

/** depmod looks below BASE/lib/modules or BASE/usr/lib/modules, as its distribution built it. */
export function depmodRun(inputs: {
  readonly version: string;
  /** The tree's usr/lib/modules. */
  readonly modules: HostPath;
  /** The tree's own depmod.d directories. */
  readonly configuration: readonly Mount[];
}): RunRequest {
  const { version, modules, configuration } = inputs;
  return {
    tool: 'depmod',
    argv: [...configuration.flatMap((mount) => ['-C', mount.target]), ...['-a', '-b', buildRoot, version]],
    mounts: [{ source: modules, target: `${buildRoot}/usr/lib/modules`, mode: 'rw' }, ...configuration],
    symlinks: [{ target: 'usr/lib', path: `${buildRoot}/lib` }],
    purpose: `indexing the modules of kernel ${version}`,
  };
}

/** depmod would read the configuration of the tools; a kernel's modules are searched as its own system says. */
async function configurationMounts(tree: Tree): Promise<readonly Mount[]> {
  const mounts: Mount[] = [];
  for (const directory of ['etc/depmod.d', 'usr/local/lib/depmod.d', 'usr/lib/depmod.d']) {
    if ((await tree.list(treePath(directory))).length === 0) continue;
    const source = await tree.resolve(treePath(directory));
    mounts.push({ source, target: `/depmod.d/${directory.replaceAll('/', '-')}`, mode: 'ro' });
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
      else if (/\.ko(\.(xz|zst|gz))?$/.test(entry.name)) found.push(path);
    }
  }
  return found;
}
