import { chmod, stat } from 'node:fs/promises';
import type { ImageName } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import type { Diagnostic } from '../../base/diagnostic.ts';
import { ConfigurationError } from '../../base/errors.ts';
import type { EventSink } from '../../base/events.ts';
import { settingsWithoutEffect, unsupportedInProject } from '../../config/buildable.ts';
import type { FileFacts } from '../../config/files.ts';
import { hostFiles } from '../../config/files.ts';
import type { ResolvedImage } from '../../config/project.ts';
import { missingInputs, scriptSettings } from '../../config/resolved-image.ts';
import { namedOutput } from '../../plan/crossing.ts';

/**
 * Checks the values of all images and the inputs of the wanted ones.
 * @throws ConfigurationError for values that mkimg has no effect for, and for files that a build cannot do without, and no
 * other image makes
 */
export function checkInputs(images: readonly ResolvedImage[], wanted: readonly ImageName[]): void {
  const faults = inputFaults(images, wanted);
  const values = unsupportedInProject(images, 'build');
  if (faults.length + values.length > 0) throw new ConfigurationError([...values, ...faults]);
}

/** Files that a build of the wanted images cannot do without, and that neither are there nor made by another image. */
export function inputFaults(
  images: readonly ResolvedImage[],
  wanted: readonly ImageName[],
): readonly Diagnostic[] {
  return images
    .filter(({ name }) => wanted.includes(name))
    .flatMap((image) => {
      const isMade = (path: string): boolean => namedOutput(hostPath(path), image.name, images) !== undefined;
      const stat = (path: string): FileFacts | undefined => (isMade(path) ? madeFile : hostFiles.stat(path));
      return missingInputs(image, { ...hostFiles, stat });
    });
}

/** An output of another image counts as being there. */
const madeFile: FileFacts = { directory: false, executable: true, openToOthers: false };

/** MakeScriptsExecutable=: gives scripts the permission without which the build would stop at them. */
export async function makeScriptsExecutable(images: readonly ResolvedImage[]): Promise<void> {
  const scripts = images
    .filter(({ config }) => config.MakeScriptsExecutable)
    .flatMap(({ config }) => scriptSettings.flatMap((setting) => config[setting]));
  for (const path of new Set(scripts)) {
    const { mode } = await stat(path);
    if ((mode & 0o100) === 0) await chmod(path, mode | 0o100);
  }
}

/** Says once which settings are understood and do nothing yet. */
export function noteUnsupported(images: readonly ResolvedImage[], events: EventSink): void {
  const names = [...new Set(images.flatMap(settingsWithoutEffect))];
  if (names.length === 0) return;
  const count = names.length === 1 ? '1 setting' : `${names.length} settings`;
  events.emit({
    ...{ type: 'note', level: 'warning', code: 'unsupported-settings' },
    message: `unsupported: ${count} without effect yet (${names.map((name) => `${name}=`).join(', ')})`,
  });
}
