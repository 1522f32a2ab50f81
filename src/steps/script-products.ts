import { constants } from 'node:fs';
import { cp, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { lstatIfExists } from '../base/files.ts';
import type { Opened } from '../plan/step.ts';
import type { ScriptSettings } from '../plan/vocabulary.ts';

/** Directories of what scripts leave beside the tree: $PACKAGEDIR, $ARTIFACTDIR, $OUTPUTDIR. */
export const productDirectories = ['packages', 'artifacts', 'output'] as const;

/** Packages that were put there for the scripts to use, by name, with size and time. */
type Lent = ReadonlyMap<string, string>;

/** What scripts find and leave; `directory` holds the product directories. */
export interface ScriptProducts {
  readonly directory: HostPath;
  /** Moves what the scripts made to its place beside the tree: all but packages of other images. */
  keep(target: HostPath): Promise<void>;
}

/** Lays out what earlier scripts left, and the packages that other images made. */
export async function layOutProducts(
  { products, packages = [] }: Pick<Opened<ScriptSettings>, 'products' | 'packages'>,
  directory: HostPath,
): Promise<ScriptProducts> {
  for (const name of productDirectories) await mkdir(join(directory, name), { recursive: true });
  const lentDirectory = join(directory, 'packages');
  for (const { directory: from } of packages) await copyInto(join(from, 'packages'), lentDirectory);
  const lent = await describeFiles(lentDirectory);
  if (products !== undefined) {
    for (const name of productDirectories)
      await copyInto(join(products.directory, name), join(directory, name));
  }
  return {
    directory,
    keep: async (target) => {
      await removeLent(lentDirectory, lent);
      await mkdir(target, { recursive: true });
      for (const name of productDirectories) await rename(join(directory, name), join(target, name));
    },
  };
}

async function copyInto(source: string, target: string): Promise<void> {
  if ((await lstatIfExists(source)) === undefined) return;
  await cp(source, target, {
    recursive: true,
    preserveTimestamps: true,
    verbatimSymlinks: true,
    mode: constants.COPYFILE_FICLONE,
  });
}

async function describeFiles(directory: string): Promise<Lent> {
  const files = new Map<string, string>();
  for (const name of await readdir(directory)) files.set(name, await describeFile(join(directory, name)));
  return files;
}

async function describeFile(path: string): Promise<string> {
  const { size, mtimeMs } = await lstat(path);
  return `${size} ${Math.round(mtimeMs)}`;
}

async function removeLent(directory: string, lent: Lent): Promise<void> {
  for (const [name, description] of await describeFiles(directory)) {
    if (lent.get(name) === description) await rm(hostPath(join(directory, name)), { recursive: true });
  }
}
