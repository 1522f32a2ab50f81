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
    if (fault === undefined) continue;
    const path = hostPath(join(directory, name));
    loading.faults.push({ severity: 'warning', origin: { kind: 'path', path }, ...fault });
  }
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
