import type { Origin } from '../base/diagnostic.ts';
import type { Entry } from './codec.ts';
import type { ConfigFiles } from './files.ts';
import type { Assignment } from './history.ts';
import type { ResolvedImage } from './resolved-image.ts';
import { scan } from './scanner.ts';
import type { SettingName, SettingRow } from './settings/table.ts';
import { conditionSections, findSetting } from './settings/table.ts';
import type { SkippedFile } from './skipped.ts';
import { skippedFiles } from './skipped.ts';
import { trim } from './traced-text.ts';
import { layerNames } from './values.ts';

/** What became of an assignment: all its items count, some of them, or none. */
export type Effect = 'counts' | 'partly' | 'overridden';

export interface ExplainedAssignment {
  readonly assignment: Assignment;
  readonly effect: Effect;
  /** The assignment that took its place or dropped it, where there is one. */
  readonly by?: Origin;
}

/** A line about the setting in a file that does not count. */
export interface Mention {
  readonly file: SkippedFile;
  readonly origin: Origin;
  /** As written, specifiers included; secrets in clear. */
  readonly text: string;
}

/** How the value of a setting came about. */
export interface Explanation {
  readonly row: SettingRow;
  readonly image: ResolvedImage;
  /** In the order of reading. */
  readonly assignments: readonly ExplainedAssignment[];
  /** The settings that its default follows from. */
  readonly defaultFrom: readonly SettingName[];
  readonly mentions: readonly Mention[];
}

/** Explains a setting of an image; reads the files that were skipped once more. */
export function explainSetting(image: ResolvedImage, row: SettingRow, files: ConfigFiles): Explanation {
  const assignments = image.assignments.filter(({ setting }) => setting === row.name);
  return {
    row,
    image,
    assignments: explained(image, row, assignments),
    defaultFrom: Object.keys(row.setting.fallback.from) as SettingName[],
    mentions: skippedFiles(image, files).flatMap((file) => mentions(file, row, files)),
  };
}

/** What each of the assignments to one setting, all of them in their order, does to the value. */
export function explained(
  image: ResolvedImage,
  row: SettingRow,
  assignments: readonly Assignment[],
): readonly ExplainedAssignment[] {
  const effective = effectiveEntries(image, row);
  return assignments.map((assignment) => {
    const effect = effectOf(assignment, effective, row);
    if (effect === 'counts') return { assignment, effect };
    const by = overriding(assignment, assignments, row);
    return { assignment, effect, ...(by && { by: by.origin }) };
  });
}

/** The entries that the value is made of: of a dictionary, the last of each key. */
function effectiveEntries(image: ResolvedImage, row: SettingRow): ReadonlySet<Entry<unknown>> {
  const { entries } = image.resolved(row.name);
  const { codec } = row.setting;
  if (codec.merge !== 'assign') return new Set(entries);
  return new Set(new Map(entries.map((entry) => [codec.label(entry.value), entry])).values());
}

function effectOf(assignment: Assignment, effective: ReadonlySet<Entry<unknown>>, row: SettingRow): Effect {
  const { kind, entries } = assignment;
  if (kind === 'forced' || kind === 'handed-down')
    return kind === 'forced' || [...effective].some(({ origin }) => origin.kind === 'inherited')
      ? 'counts'
      : 'overridden';
  if (kind === 'clear') return 'counts';
  const own = row.setting.codec.merge === 'replace' ? entries.slice(-1) : entries;
  const kept = own.filter(
    (entry) =>
      entry.removes === true ||
      effective.has(entry) ||
      [...effective].some((other) => isSamePlace(entry, other)),
  );
  if (kept.length === own.length) return 'counts';
  return kept.length === 0 ? 'overridden' : 'partly';
}

/** Of values that were put together anew (Dependencies=), the place tells. */
function isSamePlace(entry: Entry<unknown>, other: Entry<unknown>): boolean {
  return entry.value === other.value && JSON.stringify(entry.origin) === JSON.stringify(other.origin);
}

/** The first assignment of more weight that drops, replaces or takes back what this one says. */
function overriding(
  assignment: Assignment,
  all: readonly Assignment[],
  row: SettingRow,
): Assignment | undefined {
  const index = all.indexOf(assignment);
  const weight = (given: Assignment): number => layerNames.indexOf(given.layer);
  const stronger = all.filter(
    (other, place) =>
      weight(other) > weight(assignment) || (weight(other) === weight(assignment) && place > index),
  );
  if (row.setting.codec.merge === 'replace')
    return stronger.findLast((other) => weight(other) === Math.max(...stronger.map(weight)));
  const dropped = stronger.find(({ kind }) => kind === 'clear' || kind === 'forced');
  return (
    dropped ?? stronger.find(({ entries }) => entries.some((entry) => takesBack(entry, assignment, row)))
  );
}

function takesBack(entry: Entry<unknown>, { entries }: Assignment, row: SettingRow): boolean {
  const { codec } = row.setting;
  if (codec.merge === 'assign')
    return entries.some(({ value }) => codec.label(value) === codec.label(entry.value));
  return entry.removes === true && entries.some(({ value }) => value === entry.value);
}

function mentions(file: SkippedFile, row: SettingRow, files: ConfigFiles): readonly Mention[] {
  const { sections } = scan(file.path, files.read(file.path));
  return sections
    .filter(({ name }) => !conditionSections.some((section) => section === name))
    .flatMap(({ assignments }) => assignments)
    .filter(({ key }) => findSetting(key) === row)
    .map(({ value, keyOrigin }) => {
      const text = trim(value);
      return { file, origin: text.text === '' ? keyOrigin : text.origin(), text: text.text };
    });
}
