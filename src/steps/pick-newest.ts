import { constants } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MkimgError } from '../base/errors.ts';
import { compareVersions } from '../base/version.ts';
import type { FileStep } from './implementation.ts';

/** Of several kernels' files the one of the newest kernel. */
export const pickNewest: FileStep<'pick-newest'> = {
  output: 'file',
  version: 1,
  tools: [],
  async run({ files, suffix }, target) {
    const version = newestVersion(files.names, suffix);
    if (version === undefined)
      throw new MkimgError('no-kernel', `No kernel made a file with the suffix ${suffix}.`);
    await copyFile(join(files.directory, version + suffix), target, constants.COPYFILE_FICLONE);
    return { version };
  },
};

/** The highest of the versions in names of the form VERSION + suffix. */
export function newestVersion(names: readonly string[], suffix: string): string | undefined {
  return names
    .filter((name) => name.endsWith(suffix))
    .map((name) => name.slice(0, name.length - suffix.length))
    .sort(compareVersions)
    .at(-1);
}
