import { constants } from 'node:fs';
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hostPath } from '../../base/brand.ts';
import { allOf } from '../../base/concurrency.ts';
import { MkimgError } from '../../base/errors.ts';
import type { CompressionSuffix } from '../../formats/kmod.ts';
import { compressionSuffixes, firmwareNames, readModinfo } from '../../formats/kmod.ts';
import type { RunRequest } from '../../sandbox/types.ts';
import type { BuildContext, ToolNeed } from '../implementation.ts';
import type { ModuleFile } from './module-files.ts';

/** Programs that may be needed to look into modules. */
export const modinfoTools: readonly ToolNeed[] = [
  { tool: 'xz', reason: 'reading kernel modules compressed with xz' },
  { tool: 'zstd', reason: 'reading kernel modules compressed with zstd' },
  { tool: 'gzip', reason: 'reading kernel modules compressed with gzip' },
];

/**
 * Firmware files that modules ask for: module name to names below /usr/lib/firmware, which may be patterns. Compressed
 * modules are unpacked in the scratch directory, a few programs at a time and not one for each module.
 */
export async function firmwareByModule(
  files: readonly ModuleFile[],
  context: BuildContext,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const scratch = hostPath(join(context.work, 'modules'));
  await mkdir(scratch);
  try {
    const plain = await unpackedFiles(files, { ...context, work: scratch });
    const names = new Map<string, readonly string[]>();
    for (const { module } of files) {
      const path = plain.get(module.name);
      if (path !== undefined) names.set(module.name, await firmwareOf(path, module.path));
    }
    return names;
  } finally {
    await rm(scratch, { recursive: true });
  }
}

async function firmwareOf(file: string, modulePath: string): Promise<readonly string[]> {
  try {
    return firmwareNames(readModinfo(await readFile(file)));
  } catch (error) {
    if (!(error instanceof MkimgError)) throw error;
    throw new MkimgError('bad-module', `Kernel module ${modulePath} is damaged: ${error.message}.`, {
      cause: error,
    });
  }
}

/** Module name to a file with the uncompressed module. */
async function unpackedFiles(
  files: readonly ModuleFile[],
  context: BuildContext,
): Promise<ReadonlyMap<string, string>> {
  const paths = new Map<string, string>();
  const runs: RunRequest[] = [];
  for (const file of files) {
    if (suffixOf(file) === undefined) paths.set(file.module.name, file.path);
  }
  for (const suffix of compressionSuffixes) {
    const packed = files.filter((file) => suffixOf(file) === suffix);
    for (const file of packed) {
      const copy = join(context.work, `${file.module.name}.ko`);
      await copyFile(file.path, copy + suffix, constants.COPYFILE_FICLONE);
      paths.set(file.module.name, copy);
    }
    for (const group of groups(packed, context.jobs))
      runs.push(
        unpackRun(
          suffix,
          group.map((file) => `./${file.module.name}.ko${suffix}`),
        ),
      );
  }
  const mounts = [{ source: context.work, target: '/modules', mode: 'rw' as const }];
  await allOf(runs.map((run) => () => context.sandbox.run({ ...run, mounts, workingDirectory: '/modules' })));
  return paths;
}

function suffixOf({ module }: ModuleFile): CompressionSuffix | undefined {
  return compressionSuffixes.find((suffix) => module.path.endsWith(suffix));
}

/** Shares by size, so that the programs end at about the same time. */
function groups(files: readonly ModuleFile[], count: number): readonly (readonly ModuleFile[])[] {
  const shares = Array.from({ length: Math.max(1, count) }, () => ({ bytes: 0, files: [] as ModuleFile[] }));
  for (const file of [...files].sort((left, right) => right.size - left.size)) {
    const smallest = shares.reduce((best, share) => (share.bytes < best.bytes ? share : best));
    smallest.bytes += file.size;
    smallest.files.push(file);
  }
  return shares.map((share) => share.files).filter((share) => share.length > 0);
}

/** Unpacks files in place: `a.ko.xz` becomes `a.ko`. */
export function unpackRun(suffix: CompressionSuffix, names: readonly string[]): RunRequest {
  const purpose = 'reading kernel modules';
  switch (suffix) {
    case '.xz':
      return { tool: 'xz', argv: ['-q', '-d', '--', ...names], purpose };
    case '.zst':
      return { tool: 'zstd', argv: ['-q', '-d', '--rm', '--', ...names], purpose };
    case '.gz':
      return { tool: 'gzip', argv: ['-q', '-d', '--', ...names], purpose };
  }
}
