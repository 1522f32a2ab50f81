import { basename, join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath, imageName } from '../base/brand.ts';
import type { Diagnostic } from '../base/diagnostic.ts';
import { named, prefixOf, readDirectory, readFile } from './directory.ts';
import { handDown, type MainValues } from './hand-down.ts';
import type { ImageLoading, Prefix } from './loading.ts';
import { newImage } from './loading.ts';

const reservedNames: readonly string[] = ['main', 'tools', 'default-initrd'];

export interface Subimages {
  /** By name. */
  readonly images: readonly ImageLoading[];
  /** Names of images whose conditions do not hold. */
  readonly skipped: ReadonlySet<string>;
}

/** Reads the images in mkimg.images/. */
export function readSubimages(main: MainValues, prefix: Prefix): Subimages {
  const { directory, world, faults } = main.loading;
  const folder = named({ directory, prefix }, '.images');
  const images: ImageLoading[] = [];
  const skipped = new Set<string>();
  const seen = new Set<string>();
  for (const entry of world.isProjectless === true ? [] : world.files.list(folder)) {
    const path = hostPath(join(folder, entry));
    const isDirectory = world.files.stat(path)?.directory === true;
    if (entry.startsWith('.') || (!isDirectory && !entry.endsWith('.conf'))) continue;
    const name = basename(entry, '.conf');
    const fault = nameFault(path, name, seen);
    if (fault !== undefined) {
      faults.push(fault);
      continue;
    }
    seen.add(name);
    const loading = newImage({ name: imageName(name), role: 'subimage', directory, home: path }, world);
    handDown(loading, main);
    if (readSubimage(loading, path, { isDirectory, prefix })) images.push(loading);
    else skipped.add(name);
    for (const profile of loading.knownProfiles) main.loading.knownProfiles.add(profile);
    // Those of images that count are asked for when all are worked out.
    if (!images.includes(loading)) faults.push(...loading.faults);
  }
  return { images, skipped };
}

function readSubimage(
  loading: ImageLoading,
  path: HostPath,
  { isDirectory, prefix }: { readonly isDirectory: boolean; readonly prefix: Prefix },
): boolean {
  if (!isDirectory) {
    // Paths in it count from where -C leads, also where the project is in mkimg/ or mkosi/ there.
    const directory = loading.world.root ?? loading.directory;
    const position = { directory, prefix, layer: 'files' } as const;
    return readFile(loading, path, { position, role: 'subimage' });
  }
  const own = prefixOf(loading.world.files, path) ?? prefix;
  return readDirectory(loading, path, { prefix: own, local: true, profiles: true, role: 'subimage' });
}

function nameFault(path: HostPath, name: string, seen: ReadonlySet<string>): Diagnostic | undefined {
  const origin = { kind: 'path', path } as const;
  if (reservedNames.includes(name)) {
    return {
      severity: 'error',
      code: 'bad-image-name',
      message: `an image cannot be called '${name}'`,
      origin,
      hint: `mkimg gives ${reservedNames.map((reserved) => `'${reserved}'`).join(', ')} to images of its own. Rename it.`,
    };
  }
  if (seen.has(name)) {
    return {
      severity: 'error',
      code: 'bad-image-name',
      message: `there are two images '${name}'`,
      origin,
      hint: `Keep ${name}/ or ${name}.conf.`,
    };
  }
  return undefined;
}
