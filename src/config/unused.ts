import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import type { Diagnostic } from '../base/diagnostic.ts';
import { prefixOf } from './directory.ts';
import type { ConfigFiles } from './files.ts';
import { isBuiltIn } from './history.ts';
import { leftover } from './known-files.ts';
import type { ResolvedImage } from './resolved-image.ts';
import { skippedFiles } from './skipped.ts';

/**
 * Files beside drop-ins and profiles that nothing reads, because their names do not end in `.conf`. A file that some
 * configuration file speaks of, like a script beside the drop-in that runs it, is in use.
 */
export function filesBesideDropIns(
  images: readonly ResolvedImage[],
  files: ConfigFiles,
): readonly Diagnostic[] {
  const visits = images.flatMap((image) => image.files.filter((visit) => !isBuiltIn(visit, image.files)));
  const strays = [...new Set(visits.map(({ directory }) => directory))].flatMap((directory) =>
    straysOf(directory, files),
  );
  if (strays.length === 0) return [];
  const skipped = images.flatMap((image) => skippedFiles(image, files));
  const read = new Set<HostPath>([...visits, ...skipped].map(({ path }) => path));
  const texts = [...read].map((path) => files.read(path));
  return strays
    .filter(({ name }) => !texts.some((text) => text.includes(name)))
    .map(({ name, within, path }): Diagnostic => ({
      severity: 'warning',
      code: 'unused-file',
      message: `nothing reads this file: files of ${within}/ end in .conf`,
      origin: { kind: 'path', path },
      hint: `Rename it to ${name.replace(/\.[^.]*$/, '')}.conf, or remove it.`,
    }));
}

interface Stray {
  readonly name: string;
  /** The name of the directory that it stands in. */
  readonly within: string;
  readonly path: HostPath;
}

function straysOf(directory: HostPath, files: ConfigFiles): readonly Stray[] {
  const prefix = prefixOf(files, directory);
  if (prefix === undefined) return [];
  return [`${prefix}.conf.d`, `${prefix}.profiles`].flatMap((within) => {
    const place = join(directory, within);
    return files
      .list(place)
      .filter((name) => !/\.conf$|^README/.test(name) && !leftover.test(name))
      .map((name) => ({ name, within, path: hostPath(join(place, name)) }))
      .filter(({ path }) => files.stat(path)?.directory === false);
  });
}
