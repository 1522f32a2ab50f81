import type { HostPath } from '../base/brand.ts';
import { imageName } from '../base/brand.ts';
import type { Origin, Result } from '../base/diagnostic.ts';
import { fail, ok } from '../base/diagnostic.ts';
import type { CommandLineAssignment } from './assignments.ts';
import { applyCommandLine } from './assignments.ts';
import { readDirectory } from './directory.ts';
import type { ImageLoading } from './loading.ts';
import { newImage } from './loading.ts';
import { programs } from './programs.ts';
import type { ReadingRequest } from './reading.ts';
import { distinct, reading } from './reading.ts';
import type { ResolvedImage } from './resolved-image.ts';
import { finishImage } from './resolved-image.ts';
import type { SettingName } from './settings/table.ts';
import { settingRows } from './settings/table.ts';
import { force, preload } from './values.ts';

export interface BuiltinRequest extends ReadingRequest {
  readonly name: 'default-initrd' | 'tools';
  /** The directory that describes it (configs/initrd). */
  readonly directory: HostPath;
  /** The image that it is built for. */
  readonly inherit: ResolvedImage;
  /** Further settings; they count like the command line. */
  readonly assignments: readonly CommandLineAssignment[];
}

/** Settings that describe the target: a tools tree has its own, for it runs here. */
const targetSettings: readonly SettingName[] = [
  'Distribution',
  'Release',
  'Architecture',
  'Repositories',
  'SandboxTrees',
  'PackageDirectories',
];

/**
 * Reads an image that mkimg brings along, without the user's files for it. What the user's image decides for all images is
 * fixed; what other images start from is handed down, both with an origin that says so.
 */
export async function loadBuiltinImage(request: BuiltinRequest): Promise<Result<ResolvedImage>> {
  await Promise.resolve();
  return reading(request, programs(undefined), (world) => {
    const { directory, name } = request;
    const loading = newImage({ name: imageName(name), role: name, directory, home: directory }, world);
    inheritFrom(loading, request);
    applyCommandLine(loading, request.assignments);
    readDirectory(loading, directory, {
      prefix: 'mkimg',
      profiles: true,
      layer: 'built-in',
      role: 'built-in',
    });
    const image = finishImage(loading);
    const faults = distinct([...world.faults, ...loading.faults]);
    return faults.some(({ severity }) => severity === 'error') ? fail(...faults) : ok(image, faults);
  });
}

function inheritFrom(loading: ImageLoading, { name, inherit }: BuiltinRequest): void {
  const origin: Origin = { kind: 'inherited', image: inherit.name };
  for (const row of settingRows) {
    // Built-in configurations have profiles of their own.
    if (row.name === 'Profiles') continue;
    if (name === 'tools' && targetSettings.includes(row.name)) continue;
    const handed = { row, given: inherit.resolved(row.name), origin };
    const { scope } = row.setting;
    if (scope === 'universal' || scope === 'multiversal') force(loading.values, handed);
    else if (name === 'tools') continue;
    else if (scope === 'inherit' || scope === 'initrd-inherit') preload(loading.values, handed);
  }
}
