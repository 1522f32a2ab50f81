import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath, treePath } from '../base/brand.ts';
import { exists } from '../base/files.ts';
import type { Tree } from '../sandbox/tree.ts';
import { treeAt } from '../sandbox/tree.ts';
import { buildrootMount } from './buildroot.ts';
import { contentDigest } from './content-digest.ts';
import type { BuildContext, TreeStep } from './implementation.ts';

/** systemd-hwdb writes usr/lib/udev/hwdb.bin and fails on faults in the sources. */
export const hwdbArgv: readonly string[] = ['--root=/buildroot', '--usr', '--strict', 'update'];

const compiled = treePath('usr/lib/udev/hwdb.bin');

/** Compiles the hardware database into /usr. A copy in /etc, which would hide it, is removed. */
export const hwdb: TreeStep<'hwdb'> = {
  output: 'tree',
  version: 2,
  tools: [{ tool: 'systemd-hwdb', reason: 'to compile the hardware database' }],
  async run(_inputs, root, context) {
    const tree = treeAt(root);
    const sources = await sourcesDigest(tree, context.signal);
    if (sources === undefined) await compile(root, context);
    else await compileOnce(sources, tree, context);
    await tree.remove(treePath('etc/udev/hwdb.bin'));
  },
};

async function compile(root: HostPath, context: BuildContext): Promise<void> {
  await context.sandbox.run({
    tool: 'systemd-hwdb',
    argv: hwdbArgv,
    mounts: [buildrootMount(root)],
    purpose: 'compiling the hardware database',
  });
}

/** The database of other trees with the same sources is the same. */
async function compileOnce(sources: string, tree: Tree, context: BuildContext): Promise<void> {
  const part = {
    ...{ kind: 'hardware-database', version: 1, label: 'hardware database' },
    identity: { sources },
    byTools: true,
  };
  const [directory] = await context.parts.obtain([part], async () => {
    const made = hostPath(join(context.work, 'hwdb'));
    await mkdir(made);
    await compile(tree.root, context);
    // Without sources there is no database.
    if (await tree.exists(compiled)) await copyFile(await tree.resolve(compiled), join(made, 'hwdb.bin'));
    return [made];
  });
  if (directory === undefined) throw new Error('internal: no hardware database');
  const database = join(directory, 'hwdb.bin');
  if (await exists(database)) await tree.writeText(compiled, await readFile(database), 0o444);
  else await tree.remove(compiled);
}

/** hwdb(7); /run is empty in an image. */
const sourceDirectories = ['etc', 'run', 'usr/local/lib', 'usr/lib'].map((place) =>
  treePath(`${place}/udev/hwdb.d`),
);

/** Digest of the sources; undefined where links lead from them to other files. */
async function sourcesDigest(tree: Tree, signal: AbortSignal): Promise<string | undefined> {
  const digests: string[] = [];
  for (const path of sourceDirectories) {
    const entries = await tree.list(path);
    if (entries.some(({ type }) => type === 'symlink')) return undefined;
    const directory = await tree.resolve(path);
    digests.push(entries.length === 0 ? '' : await contentDigest(directory, { counts: () => true, signal }));
  }
  return digests.join(' ');
}
