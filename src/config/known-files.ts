import { join } from 'node:path';
import { hostPath } from '../base/brand.ts';
import type { Diagnostic } from '../base/diagnostic.ts';
import { closest } from '../base/suggestion.ts';
import type { ImageLoading, Position } from './loading.ts';
import { settingRows } from './settings/table.ts';

/** Directories of results; their names alone are no configuration. */
export const resultSuffixes: readonly string[] = ['.output', '.cache', '.builddir', '.pkgcache'];

const knownSuffixes: readonly string[] = [
  '.conf',
  '.bump',
  '.conf.d',
  '.images',
  '.initrd.conf',
  '.local',
  '.local.conf',
  '.profiles',
  '.tests',
  '.tools.conf',
  ...resultSuffixes,
  ...settingRows.flatMap(({ setting }) => (setting.implicit ?? []).map(({ suffix }) => suffix)),
];

/** What editors and package managers leave beside a file. */
export const leftover = /~$|\.(?:bak|old|orig|rej|swp|tmp)$|\.(?:dpkg|rpm)[\w-]*$/;

/** Notes files whose names say that somebody expects them to count, while they do not. */
export function noteUnusedFiles(loading: ImageLoading, { directory, prefix }: Position): void {
  for (const name of loading.world.files.list(directory)) {
    if (!name.startsWith(`${prefix}.`)) continue;
    const fault = unusedFile(name.slice(prefix.length), prefix);
    if (fault === undefined || isNamed(loading, { directory, prefix }, name)) continue;
    const path = hostPath(join(directory, name));
    loading.faults.push({ severity: 'warning', origin: { kind: 'path', path }, ...fault });
  }
  noteOtherNames(loading, { directory, prefix });
}

/** Whoever has a mkimg.conf beside a mkosi.conf has decided; a single file of mkimg's may be an accident. */
function noteOtherNames(
  { world: { files }, faults }: ImageLoading,
  { directory, prefix }: Pick<Position, 'directory' | 'prefix'>,
): void {
  if (prefix !== 'mkimg') return;
  const names = files.list(directory);
  const first = names.find((name) => name.startsWith('mkimg.'));
  if (first === undefined || names.includes('mkimg.conf') || !names.includes('mkosi.conf')) return;
  faults.push({
    severity: 'warning',
    code: 'other-names',
    message: `mkosi.conf does not count, because ${first} is there: a directory has either names with mkimg. or names with mkosi.`,
    origin: { kind: 'path', path: hostPath(join(directory, 'mkosi.conf')) },
    hint: `Rename ${first}, or mkosi.conf and all that belongs to it.`,
  });
}

/** The main file of the directory, or one of its drop-ins, speaks of the file. */
function isNamed(
  { world: { files } }: ImageLoading,
  { directory, prefix }: Pick<Position, 'directory' | 'prefix'>,
  name: string,
): boolean {
  const dropIns = join(directory, `${prefix}.conf.d`);
  const paths = files.list(dropIns).map((file) => join(dropIns, file));
  return [join(directory, `${prefix}.conf`), ...paths]
    .filter((path) => files.stat(path)?.directory === false)
    .some((path) => files.read(path).includes(name));
}

function unusedFile(
  suffix: string,
  prefix: string,
): Pick<Diagnostic, 'code' | 'message' | 'hint'> | undefined {
  if (knownSuffixes.includes(suffix) || leftover.test(suffix)) return undefined;
  const near = closest(suffix, knownSuffixes);
  if (near === undefined) return undefined;
  return { code: 'unknown-file', message: 'nothing uses this file', hint: `Did you mean ${prefix}${near}?` };
}
