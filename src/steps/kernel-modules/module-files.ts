import type { Stats } from 'node:fs';
import { lstatSync } from 'node:fs';
import { posix } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath, treePath } from '../../base/brand.ts';
import { MkimgError } from '../../base/errors.ts';
import type { KernelModule } from '../../formats/kmod.ts';
import type { Tree } from '../../sandbox/tree.ts';
import { moduleDirectory } from '../kernels.ts';

export interface ModuleFile {
  readonly module: KernelModule;
  readonly path: HostPath;
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  /** Tells this state of the file from any other: inode, time of its last change. */
  readonly changed: string;
}

export interface FoundModules {
  readonly files: readonly ModuleFile[];
  /** Modules that modules.dep names and that are not there. */
  readonly missing: readonly KernelModule[];
}

/**
 * Finds the selected modules' files; links are followed inside the tree.
 * @throws MkimgError `module-missing` when modules.dep names a file outside its directory.
 */
export async function findModuleFiles(
  tree: Tree,
  version: string,
  modules: readonly KernelModule[],
): Promise<FoundModules> {
  const directories = new Map<string, HostPath>();
  const files: ModuleFile[] = [];
  const missing: KernelModule[] = [];
  for (const module of modules) {
    const path = pathInTree(version, module);
    const parent = posix.dirname(path);
    const directory = directories.get(parent) ?? (await tree.resolve(treePath(parent)));
    directories.set(parent, directory);
    let file = hostPath(`${directory}/${posix.basename(path)}`);
    let stats = lstatIfExists(file);
    if (stats?.isSymbolicLink() === true) {
      file = await tree.resolve(treePath(path));
      stats = lstatIfExists(file);
    }
    if (stats?.isFile() !== true) missing.push(module);
    else
      files.push({
        module,
        path: file,
        size: stats.size,
        mtime: Math.floor(stats.mtimeMs / 1000),
        changed: `${stats.ino}-${stats.mtimeMs}-${stats.ctimeMs}`,
      });
  }
  return { files, missing };
}

/**
 * The files of modules that must all be there.
 * @throws MkimgError `module-missing` when modules.dep names a file that is not there.
 */
export async function moduleFiles(
  tree: Tree,
  version: string,
  modules: readonly KernelModule[],
): Promise<readonly ModuleFile[]> {
  const { files, missing } = await findModuleFiles(tree, version, modules);
  const [first] = missing;
  if (first === undefined) return files;
  const path = pathInTree(version, first);
  throw new MkimgError('module-missing', `modules.dep names /${path}, which is not a file.`, {
    hint: `Run depmod ${version}: it must run after modules were removed or replaced.`,
  });
}

function pathInTree(version: string, { path }: KernelModule): string {
  const normalized = posix.normalize(path);
  if (normalized.startsWith('/') || normalized.split('/').includes('..'))
    throw new MkimgError(
      'module-missing',
      `modules.dep of kernel ${version} names '${path}', outside its directory.`,
    );
  return `${moduleDirectory(version)}/${normalized}`;
}

function lstatIfExists(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}
