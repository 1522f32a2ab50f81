import type { HostPath } from '../base/brand.ts';
import type { Diagnostic, Origin } from '../base/diagnostic.ts';
import { isBuiltIn } from './history.ts';
import type { FileVisit } from './history.ts';
import type { ResolvedImage } from './resolved-image.ts';
import type { ScannedFile } from './scanner.ts';
import type { SettingRow } from './settings/table.ts';

/**
 * Names that come twice in a list, where one of the lines could go: both in one file, or in files of one directory of which
 * one counts whenever the other does. Parts that can be used without each other (includes, profiles, files with conditions)
 * each say what they need.
 */
export function repeatedItems(
  image: ResolvedImage,
  row: SettingRow,
  scanned: (path: HostPath) => ScannedFile,
): readonly Diagnostic[] {
  const { codec } = row.setting;
  // Only in lists of names does an item say nothing new the second time.
  if (codec.removable !== true) return [];
  const visits = new Map<string, FileVisit>(image.files.map((visit) => [visit.path, visit]));
  const visitOf = (origin: Origin): FileVisit | undefined =>
    origin.kind === 'file' ? visits.get(origin.span.file) : undefined;
  const isNeedless = (before: Origin, origin: Origin): boolean => {
    const [one, other] = [visitOf(before), visitOf(origin)];
    if (one === undefined || other === undefined) return origin.kind !== 'inherited';
    return one === other || (belongTogether(one, other) && ![one, other].every(isConditional));
  };
  const isConditional = ({ path }: FileVisit): boolean =>
    scanned(path).sections.some(({ name }) => name === 'Match' || name === 'TriggerMatch');
  // What mkimg brings along names what it needs; that users name it as well is no fault of theirs.
  const own = image.resolved(row.name).entries.filter(({ origin }) => {
    const visit = visitOf(origin);
    return visit === undefined || !isBuiltIn(visit, image.files);
  });
  const earlier = new Map<string, readonly Origin[]>();
  return own.flatMap(({ value, origin }): readonly Diagnostic[] => {
    const name = codec.label(value);
    const places = earlier.get(name) ?? [];
    earlier.set(name, [...places, origin]);
    const before = places.find((place) => !isSamePlace(place, origin) && isNeedless(place, origin));
    if (before === undefined) return [];
    const related = [{ message: `'${name}' is here as well`, origin: before }];
    const message = `'${name}' comes twice in ${row.name}=`;
    return [{ severity: 'warning', code: 'repeated-item', message, origin, related, hint: 'Remove one.' }];
  });
}

function belongTogether(one: FileVisit, other: FileVisit): boolean {
  const isPart = ({ role, decidesForDirectory }: FileVisit): boolean =>
    !decidesForDirectory && (role === 'include' || role === 'profile');
  return one.directory === other.directory && !isPart(one) && !isPart(other);
}

function isSamePlace(left: Origin, right: Origin): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}
