import { constants } from 'node:fs';
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { allOf } from '../../base/concurrency.ts';
import { MkimgError } from '../../base/errors.ts';
import type { ModinfoField } from '../../formats/kmod.ts';
import { firmwareNames, readModinfo } from '../../formats/kmod.ts';
import { readModuleInfo } from '../../formats/module-info.ts';
import type { RunRequest } from '../../sandbox/types.ts';
import type { BuildContext, ToolNeed } from '../implementation.ts';
import type { ModuleFile } from './module-files.ts';

/** Programs that may be needed to look into modules. */
export const modinfoTools: readonly ToolNeed[] = [
  { tool: 'zstd', reason: 'reading kernel modules compressed with zstd' },
];

/** What looking into modules takes: scratch space and a way to start programs. */
export type ModinfoContext = Pick<BuildContext, 'work' | 'sandbox' | 'jobs'>;

/**
 * Firmware files that modules ask for: module name to names below /usr/lib/firmware, which may be patterns. What this
 * process cannot read (zstd, on some machines) is unpacked in the scratch directory, by a few programs and not by one for
 * each module.
 * @throws MkimgError `bad-module` when a module is damaged or compressed in an unknown way.
 */
export async function firmwareByModule(
  files: readonly ModuleFile[],
  context: ModinfoContext,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const names = new Map<string, readonly string[]>();
  const packed: ModuleFile[] = [];
  for (const file of files) {
    const wanted = await firmwareWanted(file, readModuleInfo(file.path, await readFile(file.path)));
    if (wanted === undefined) packed.push(file);
    else names.set(file.module.name, wanted);
  }
  if (packed.length === 0) return names;
  const scratch = hostPath(join(context.work, 'modules'));
  await mkdir(scratch);
  try {
    await unpackInto(scratch, packed, context);
    for (const file of packed) {
      const plain = readFile(join(scratch, `${file.module.name}.ko`)).then(readModinfo);
      names.set(file.module.name, (await firmwareWanted(file, plain)) ?? []);
    }
    return names;
  } finally {
    await rm(scratch, { recursive: true });
  }
}

async function firmwareWanted(
  { module }: ModuleFile,
  description: Promise<readonly ModinfoField[] | undefined>,
): Promise<readonly string[] | undefined> {
  try {
    const fields = await description;
    return fields && firmwareNames(fields);
  } catch (error) {
    if (!(error instanceof MkimgError)) throw error;
    throw new MkimgError('bad-module', `Kernel module ${module.path} cannot be read: ${error.message}.`, {
      cause: error,
      hint: 'It is damaged, or compressed in a way that mkimg does not know (xz, zstd and gzip it does).',
    });
  }
}

/** Puts each module as `NAME.ko` into a directory. */
async function unpackInto(
  directory: HostPath,
  files: readonly ModuleFile[],
  { sandbox, jobs }: ModinfoContext,
): Promise<void> {
  for (const { module, path } of files)
    await copyFile(path, join(directory, `${module.name}.ko.zst`), constants.COPYFILE_FICLONE);
  const mounts = [{ source: directory, target: '/modules', mode: 'rw' as const }];
  const runs = groups(files, jobs).map((group) => () => {
    const run = unpackRun(group.map(({ module }) => `./${module.name}.ko.zst`));
    return sandbox.run({ ...run, mounts, workingDirectory: '/modules' });
  });
  await allOf(runs);
}

/** Unpacks files in place: `a.ko.zst` becomes `a.ko`. */
export function unpackRun(names: readonly string[]): RunRequest {
  return { tool: 'zstd', argv: ['-q', '-d', '--rm', '--', ...names], purpose: 'reading kernel modules' };
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
