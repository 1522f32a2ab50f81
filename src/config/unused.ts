import { join } from 'node:path';
import { hostPath } from '../base/brand.ts';
import type { Diagnostic } from '../base/diagnostic.ts';
import { prefixOf } from './directory.ts';
import type { ConfigFiles } from './files.ts';
import { leftover } from './known-files.ts';
import type { ResolvedImage } from './resolved-image.ts';

/** Files beside drop-ins and profiles that nothing reads, because their names do not end in `.conf`. */
export function filesBesideDropIns(image: ResolvedImage, files: ConfigFiles): readonly Diagnostic[] {
  const own = image.files.filter(({ role }) => role !== 'built-in');
  return [...new Set(own.map(({ directory }) => directory))].flatMap((directory) => {
    const prefix = prefixOf(files, directory);
    if (prefix === undefined) return [];
    return [`${prefix}.conf.d`, `${prefix}.profiles`].flatMap((name) => {
      const place = join(directory, name);
      return files
        .list(place)
        .filter((file) => !/\.conf$|^README/.test(file) && !leftover.test(file))
        .filter((file) => files.stat(join(place, file))?.directory === false)
        .map((file): Diagnostic => ({
          severity: 'warning',
          code: 'unused-file',
          message: `nothing reads this file: files of ${name}/ end in .conf`,
          origin: { kind: 'path', path: hostPath(join(place, file)) },
          hint: `Rename it to ${file.replace(/\.[^.]*$/, '')}.conf, or remove it.`,
        }));
    });
  });
}
