import { resolve as resolvePath } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import type { Diagnostic, Origin, Result } from '../base/diagnostic.ts';
import { fail, ok } from '../base/diagnostic.ts';
import { closest } from '../base/suggestion.ts';
import { architectureNames, laterArchitectures } from '../distro/architectures/index.ts';
import type { FailedCondition } from './history.ts';
import type { ImageLoading, Position } from './loading.ts';
import { fallbackContext, parseContext, take } from './loading.ts';
import type { ScannedAssignment, ScannedFile, ScannedSection } from './scanner.ts';
import type { SettingRow } from './settings/table.ts';
import { findSetting, settingRows } from './settings/table.ts';
import { expandSpecifiers } from './specifiers.ts';
import type { TracedText } from './traced-text.ts';
import { slice, trim } from './traced-text.ts';
import { resolve } from './values.ts';
import { conditionOf, satisfies } from './version-condition.ts';

interface Place {
  readonly file: HostPath;
  readonly position: Position;
}

/** Whether a condition holds, and what it was compared with. */
interface Judgement {
  readonly holds: boolean;
  readonly actual: string | undefined;
}

/** A condition on something that is no setting. */
type SpecialCondition = (loading: ImageLoading, condition: TracedText, place: Place) => Result<Judgement>;

const knownArchitectures: readonly string[] = [...architectureNames, ...laterArchitectures];

const specialConditions: Readonly<Record<string, SpecialCondition>> = {
  PathExists: (loading, condition, { position }) => {
    if (condition.text === '') return ok({ holds: false, actual: undefined });
    const path = resolvePath(position.directory, condition.text);
    return ok({ holds: loading.world.files.stat(path) !== undefined, actual: undefined });
  },
  HostArchitecture: (loading, condition) =>
    knownArchitectures.includes(condition.text)
      ? sameText(loading.world.host.architecture, condition.text)
      : unknownArchitecture(condition.text, condition.origin()),
  Image: (loading, condition) => sameText(loading.name, condition.text),
  SystemdVersion: systemdVersion,
};

function sameText(actual: string, wanted: string): Result<Judgement> {
  return ok({ holds: actual === wanted, actual });
}

const matchableNames: readonly string[] = [
  ...settingRows.filter(({ setting }) => setting.match !== undefined).map(({ name }) => name),
  ...Object.keys(specialConditions),
];

/**
 * The conditions that keep a file from counting; none when all [Match] sections hold and, where there are any, one of the
 * [TriggerMatch] sections. Conditions look at the values so far. Where the file counts, its [Assert] sections must hold too,
 * or this is a fault.
 */
export function failedConditions(
  loading: ImageLoading,
  file: ScannedFile,
  position: Position,
): readonly FailedCondition[] {
  const place = { file: file.path, position };
  const failed = judgeSections(loading, file, { ...place, all: 'Match', any: 'TriggerMatch' });
  if (failed.length > 0) return failed;
  const broken = judgeSections(loading, file, { ...place, all: 'Assert', any: 'TriggerAssert' });
  if (broken.length > 0) loading.faults.push(assertionFailed(broken));
  return [];
}

interface SectionKinds extends Place {
  readonly all: string;
  readonly any: string;
}

function judgeSections(
  loading: ImageLoading,
  file: ScannedFile,
  kinds: SectionKinds,
): readonly FailedCondition[] {
  const judge = (name: string): (readonly FailedCondition[])[] =>
    file.sections
      .filter((section) => section.name === name)
      .map((section) => judgeSection(loading, section, kinds));
  // Both lists are evaluated completely, so that every fault is found.
  const [all, any] = [judge(kinds.all), judge(kinds.any)];
  const oneHolds = any.length === 0 || any.some((failed) => failed.length === 0);
  return [...all.flat(), ...(oneHolds ? [] : any.flat())];
}

/** Plain conditions all hold, and, where there are any, one of those that begin with `|`. */
function judgeSection(
  loading: ImageLoading,
  section: ScannedSection,
  place: Place,
): readonly FailedCondition[] {
  const judged = section.assignments.map((assignment) => judgeCondition(loading, assignment, place));
  const plain = judged.filter(({ trigger, holds }) => !trigger && !holds);
  const triggers = judged.filter(({ trigger }) => trigger);
  const unmet = triggers.some(({ holds }) => holds) ? [] : triggers;
  return [...plain, ...unmet].map(({ key, wanted, actual, origin }) => ({
    section: section.name,
    key,
    wanted,
    actual,
    origin,
  }));
}

interface JudgedCondition extends Omit<FailedCondition, 'section'> {
  readonly trigger: boolean;
  readonly holds: boolean;
}

function judgeCondition(loading: ImageLoading, assignment: ScannedAssignment, place: Place): JudgedCondition {
  let condition = trim(assignment.value);
  const origin = condition.text === '' ? assignment.keyOrigin : condition.origin();
  const trigger = condition.text.startsWith('|');
  if (trigger) condition = trim(slice(condition, 1));
  const negated = condition.text.startsWith('!');
  if (negated) condition = trim(slice(condition, 1));
  const expanded = expandSpecifiers(loading, condition, place);
  const judgement = take(loading, evaluate(loading, { assignment, condition: expanded, place }));
  return {
    key: assignment.key,
    wanted: `${trigger ? '|' : ''}${negated ? '!' : ''}${expanded.text}`,
    actual: judgement?.actual,
    origin,
    trigger,
    // A faulty condition counts as met: the faults below it are then found in the same run.
    holds: judgement === undefined || judgement.holds !== negated,
  };
}

interface Condition {
  readonly assignment: ScannedAssignment;
  readonly condition: TracedText;
  readonly place: Place;
}

function evaluate(loading: ImageLoading, { assignment, condition, place }: Condition): Result<Judgement> {
  const { key, keyOrigin } = assignment;
  const special = Object.hasOwn(specialConditions, key) ? specialConditions[key] : undefined;
  if (special !== undefined) return special(loading, condition, place);
  const row = findSetting(key);
  if (row?.name === 'Profiles') loading.knownProfiles.add(condition.text);
  if (row?.setting.match === undefined) return unmatchable(key, keyOrigin, row);
  if (loading.role !== 'main' && row.setting.scope === 'main') return mainOnly(row, keyOrigin);
  const { value } = resolve(loading.values, row, fallbackContext(loading));
  const outcome = row.setting.match(value, condition, parseContext(loading, place.position.directory));
  return outcome.ok ? ok({ holds: outcome.value, actual: shown(row, value) }, outcome.warnings) : outcome;
}

function shown({ setting: { codec } }: SettingRow, value: unknown): string | undefined {
  return value === undefined ? undefined : codec.show(codec.redact?.(value) ?? value);
}

function systemdVersion(loading: ImageLoading, condition: TracedText): Result<Judgement> {
  const outcome = loading.world.programs.ask({
    program: 'systemctl',
    argv: ['--version'],
    directory: loading.directory,
  });
  // Not known yet: the configuration is read again when it is.
  if (outcome === undefined) return ok({ holds: false, actual: undefined });
  const version =
    outcome !== 'refused' && outcome.ok ? /^systemd (\d+)/.exec(outcome.output)?.[1] : undefined;
  if (version !== undefined)
    return ok({ holds: satisfies(version, conditionOf(condition.text)), actual: version });
  return ok({ holds: false, actual: undefined }, [
    {
      severity: 'warning',
      code: 'no-systemd-version',
      message: 'the version of systemd is not known here, so SystemdVersion= does not hold',
      origin: condition.origin(),
    },
  ]);
}

function unknownArchitecture(name: string, origin: Origin): ReturnType<typeof fail> {
  const near = closest(name, knownArchitectures);
  return fail({
    severity: 'error',
    code: 'bad-value',
    message: `'${name}' is not an architecture`,
    origin,
    hint: near === undefined ? `Known: ${knownArchitectures.join(', ')}.` : `Did you mean '${near}'?`,
  });
}

function mainOnly({ name }: SettingRow, origin: Origin): ReturnType<typeof fail> {
  return fail({
    severity: 'error',
    code: 'unknown-condition',
    message: `${name}= is a setting of the main image only: no other image can ask for it`,
    origin,
  });
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

function assertionFailed(broken: readonly FailedCondition[]): Diagnostic {
  const conditions = broken.map(({ key, wanted }) => `${key}=${wanted}`);
  const [first] = broken;
  return {
    severity: 'error',
    code: 'assertion-failed',
    message: `the conditions of [${first?.section ?? 'Assert'}] do not hold: ${conditions.join(', ')}`,
    ...(first && { origin: first.origin }),
    ...(first?.actual !== undefined && { hint: `${first.key}= is '${first.actual}' here.` }),
  };
}
