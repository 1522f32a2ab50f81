import type { Dirent, Stats } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import type { Mount, RunRequest } from '../sandbox/types.ts';
import { contentDigest } from './content-digest.ts';
import type { BuildContext } from './implementation.ts';

/** The modules of one kernel, in a tree or in a package. */
export interface KernelModules {
  readonly version: string;
  /** The directory usr/lib/modules, which holds that of this kernel. */
  readonly modules: HostPath;
  /** depmod.d directories of the same system. */
  readonly configuration: readonly Mount[];
}

/** Where depmod.d directories may be in a system, first the one whose files count. */
export const configurationDirectories = ['etc/depmod.d', 'usr/local/lib/depmod.d', 'usr/lib/depmod.d'];

/** A depmod.d directory where depmod finds it. */
export function configurationMount(directory: string, source: HostPath): Mount {
  return { source, target: `/depmod.d/${directory.replaceAll('/', '-')}`, mode: 'ro' };
}

/** What depmod reads of a kernel's directory: the modules, lists that came with the kernel, and where links lead. */
function isIndexInput(path: string, file: Pick<Stats, 'isSymbolicLink'>): boolean {
  return kernelLists.includes(path) || isModule(path) || file.isSymbolicLink();
}

/** By its name, as depmod tells it. */
export function isModule(path: string): boolean {
  return /\.ko(\.(xz|zst|gz))?$/.test(path);
}

const kernelLists = ['modules.order', 'modules.builtin', 'modules.builtin.modinfo'];

/** Digest of what depmod reads of a kernel's directory. */
function modulesDigest(
  { version, modules }: KernelModules,
  { signal }: Pick<BuildContext, 'signal'>,
): Promise<string> {
  return contentDigest(hostPath(join(modules, version)), { counts: isIndexInput, signal });
}

/**
 * modulesDigest() of modules that are known by their origin: reading them all takes half a second.
 * @param origin what the modules come from; undefined where nobody knows
 */
export async function knownDigest(
  kernel: KernelModules,
  origin: string | undefined,
  context: BuildContext,
): Promise<string> {
  const { version } = kernel;
  if (origin === undefined) return modulesDigest(kernel, context);
  const part = {
    ...{ kind: 'module-digest', version: 3, label: `digest of the modules of kernel ${version}` },
    identity: { kernel: version, origin },
    byTools: false,
  };
  const [known] = await context.parts.obtain([part], async () => {
    const made = hostPath(join(context.work, `digest-${version}`));
    await mkdir(made);
    await writeFile(join(made, 'digest'), await modulesDigest(kernel, context));
    return [made];
  });
  if (known === undefined) throw new Error('internal: no digest of modules');
  return readFile(join(known, 'digest'), 'utf8');
}

/**
 * A directory with the indexes of a kernel's modules. Decompressing and reading all modules takes long, so the indexes are
 * kept for all trees with the same modules.
 * @param digest that of modulesDigest()
 */
export async function moduleIndexes(
  kernel: KernelModules,
  digest: string,
  context: BuildContext,
): Promise<HostPath> {
  const { version, configuration } = kernel;
  const { signal } = context;
  const part = {
    kind: 'module-indexes',
    version: 1,
    label: `indexes of the modules of kernel ${version}`,
    identity: {
      kernel: version,
      modules: digest,
      configuration: await Promise.all(
        configuration.map(({ source }) => contentDigest(source, { counts: () => true, signal })),
      ),
    },
    byTools: true,
  };
  const [indexes] = await context.parts.obtain([part], async () => [await makeIndexes(kernel, context)]);
  if (indexes === undefined) throw new Error('internal: no module indexes');
  return indexes;
}

/** Lets depmod write into a directory beside the modules, which others may share. */
async function makeIndexes(kernel: KernelModules, context: BuildContext): Promise<HostPath> {
  const source = join(kernel.modules, kernel.version);
  const made = hostPath(join(context.work, `indexes-${kernel.version}`));
  await mkdir(made);
  const entries = await readdir(source, { withFileTypes: true });
  const inputs = entries.filter((entry) => entry.isDirectory() || isIndexInput(entry.name, entry));
  for (const entry of inputs) await present(entry, source, made);
  const directories = inputs.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  await context.sandbox.run(depmodRun(kernel, { made, directories }));
  for (const { name } of inputs) await rm(join(made, name), { recursive: true });
  return made;
}

/** Puts what depmod reads where it reads it; directories are mounted there. */
async function present(entry: Dirent, from: string, to: string): Promise<void> {
  const [source, target] = [join(from, entry.name), join(to, entry.name)];
  if (entry.isDirectory()) await mkdir(target);
  else if (entry.isSymbolicLink()) await symlink(await readlink(source, 'buffer'), target);
  else if (entry.isFile()) await copyFile(source, target);
}

const buildRoot = '/buildroot';

/** depmod looks below BASE/lib/modules or BASE/usr/lib/modules, as its distribution built it. */
export function depmodRun(
  { version, modules, configuration }: KernelModules,
  { made, directories }: { readonly made: HostPath; readonly directories: readonly string[] },
): RunRequest {
  const inside = `${buildRoot}/usr/lib/modules`;
  return {
    tool: 'depmod',
    argv: [...configuration.flatMap((mount) => ['-C', mount.target]), ...['-a', '-b', buildRoot, version]],
    mounts: [
      // Links may lead to the modules of another kernel.
      { source: modules, target: inside, mode: 'ro' },
      { source: made, target: `${inside}/${version}`, mode: 'rw' },
      ...directories.map((name): Mount => {
        const source = hostPath(join(modules, version, name));
        return { source, target: `${inside}/${version}/${name}`, mode: 'ro' };
      }),
      ...configuration,
    ],
    symlinks: [{ target: 'usr/lib', path: `${buildRoot}/lib` }],
    purpose: `indexing the modules of kernel ${version}`,
  };
}
