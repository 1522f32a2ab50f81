import type { HostPath } from '../base/brand.ts';
import type { Origin, Result } from '../base/diagnostic.ts';
import { fail, ok } from '../base/diagnostic.ts';
import { closest } from '../base/suggestion.ts';
import { absolutePath } from './codecs/paths.ts';
import type { ImageLoading, Position } from './loading.ts';
import { fallbackContext, parseContext, take } from './loading.ts';
import type { ScannedAssignment, ScannedFile, ScannedSection } from './scanner.ts';
import type { SettingRow } from './settings/table.ts';
import { findSetting, settingRows } from './settings/table.ts';
import { expandSpecifiers } from './specifiers.ts';
import type { TracedText } from './traced-text.ts';
import { slice, trim } from './traced-text.ts';
import { resolve } from './values.ts';

interface Place {
  readonly file: HostPath;
  readonly position: Position;
}

/** A condition on something that is no setting. */
type SpecialCondition = (loading: ImageLoading, condition: TracedText, place: Place) => boolean;

const specialConditions: Readonly<Record<string, SpecialCondition>> = {
  PathExists: (loading, condition, { position }) => {
    const path = absolutePath(condition.text, parseContext(loading, position.directory));
    return loading.world.files.stat(path) !== undefined;
  },
  HostArchitecture: (loading, condition) => loading.world.host.architecture === condition.text,
  Image: (loading, condition) => loading.name === condition.text,
};

const matchableNames: readonly string[] = [
  ...settingRows.filter(({ setting }) => setting.match !== undefined).map(({ name }) => name),
  ...Object.keys(specialConditions),
];

/**
 * Tells whether a file counts: all [Match] sections hold and, where there are any, one of the [TriggerMatch] sections.
 * Conditions look at the values so far. Where the file counts, its [Assert] sections must hold too, or this is a fault.
 */
export function fileCounts(loading: ImageLoading, file: ScannedFile, position: Position): boolean {
  const place = { file: file.path, position };
  if (!sectionsHold(loading, file, { ...place, all: 'Match', any: 'TriggerMatch' })) return false;
  if (!sectionsHold(loading, file, { ...place, all: 'Assert', any: 'TriggerAssert' }))
    reportAssertion(loading, file);
  return true;
}

interface SectionKinds extends Place {
  readonly all: string;
  readonly any: string;
}

function sectionsHold(loading: ImageLoading, file: ScannedFile, kinds: SectionKinds): boolean {
  const outcome = (name: string): boolean[] =>
    file.sections
      .filter((section) => section.name === name)
      .map((section) => sectionHolds(loading, section, kinds));
  // Both lists are evaluated completely, so that every fault is found.
  const [all, any] = [outcome(kinds.all), outcome(kinds.any)];
  return all.every(Boolean) && (any.length === 0 || any.some(Boolean));
}

/** Plain conditions all hold, and, where there are any, one of those that begin with `|`. */
function sectionHolds(loading: ImageLoading, section: ScannedSection, place: Place): boolean {
  const outcomes = section.assignments.map((assignment) => conditionHolds(loading, assignment, place));
  const plain = outcomes.filter(({ trigger }) => !trigger);
  const triggers = outcomes.filter(({ trigger }) => trigger);
  return plain.every(({ holds }) => holds) && (triggers.length === 0 || triggers.some(({ holds }) => holds));
}

function conditionHolds(
  loading: ImageLoading,
  assignment: ScannedAssignment,
  place: Place,
): { readonly trigger: boolean; readonly holds: boolean } {
  let condition = trim(assignment.value);
  const trigger = condition.text.startsWith('|');
  if (trigger) condition = trim(slice(condition, 1));
  const negated = condition.text.startsWith('!');
  if (negated) condition = trim(slice(condition, 1));
  const expanded = expandSpecifiers(loading, condition, place);
  const outcome = take(loading, evaluate(loading, { assignment, condition: expanded, place }));
  // A faulty condition counts as met: the faults below it are then found in the same run.
  return { trigger, holds: outcome === undefined || outcome !== negated };
}

interface Condition {
  readonly assignment: ScannedAssignment;
  readonly condition: TracedText;
  readonly place: Place;
}

function evaluate(loading: ImageLoading, { assignment, condition, place }: Condition): Result<boolean> {
  const { key, keyOrigin } = assignment;
  const special = Object.hasOwn(specialConditions, key) ? specialConditions[key] : undefined;
  if (special !== undefined) return ok(special(loading, condition, place));
  const row = findSetting(key);
  if (row?.name === 'Profiles') loading.knownProfiles.add(condition.text);
  if (row?.setting.match === undefined) return unmatchable(key, keyOrigin, row);
  const { value } = resolve(loading.values, row, fallbackContext(loading));
  return row.setting.match(value, condition, parseContext(loading, place.position.directory));
}

function unmatchable(key: string, origin: Origin, row: SettingRow | undefined): ReturnType<typeof fail> {
  const near = closest(key, matchableNames);
  const known = `Conditions can ask for ${matchableNames.join(', ')}.`;
  return fail({
    severity: 'error',
    code: 'unknown-condition',
    message: row === undefined ? `unknown condition ${key}=` : `${key}= cannot be used in a condition`,
    origin,
    hint: row === undefined && near !== undefined ? `Did you mean '${near}'?` : known,
  });
}

function reportAssertion(loading: ImageLoading, file: ScannedFile): void {
  const sections = file.sections.filter(({ name }) => name === 'Assert' || name === 'TriggerAssert');
  const conditions = sections.flatMap(({ assignments }) =>
    assignments.map(({ key, value }) => `${key}=${value.text}`),
  );
  loading.faults.push({
    severity: 'error',
    code: 'assertion-failed',
    message: `the conditions of [${sections[0]?.name ?? 'Assert'}] do not hold: ${conditions.join(', ')}`,
    ...(sections[0] && { origin: sections[0].origin }),
  });
}
