import type { Json } from '../base/canonical.ts';
import type { Origin } from '../base/diagnostic.ts';
import { ConfigurationError } from '../base/errors.ts';
import { closest } from '../base/suggestion.ts';
import { redacted } from '../config/codecs/scalars.ts';
import type { ExplainedAssignment, Explanation, Mention } from '../config/explanation.ts';
import { explainSetting } from '../config/explanation.ts';
import { hostFiles } from '../config/files.ts';
import type { Assignment, FailedCondition } from '../config/history.ts';
import { scopes } from '../config/reference.ts';
import type { SettingRow } from '../config/settings/table.ts';
import { settingRows } from '../config/settings/table.ts';
import { describeOrigin } from './diagnostics.ts';
import { showSecretsOption, showsSecrets } from './secrets.ts';
import { imageOption, selectDescribedImage } from './session/images.ts';
import { readProject } from './session/project.ts';
import { bareName, settingNamed } from './setting-name.ts';
import type { Verb } from './verb.ts';

export const explainVerb: Verb = {
  name: 'explain',
  summary: 'Tell how the value of a setting came about',
  doc: `Prints the value of a setting with the place of each item, then every assignment in the order of reading: those that
count and those that were overridden or cleared, and by what; what other images have to do with it; what its default follows
from; and lines about it in files that do not count, with the conditions that do not hold. \`--image\` asks for another image
than main.`,
  answers: true,
  words: { usage: 'SETTING', choices: () => settingRows.map(({ name }) => name) },
  options: [imageOption, showSecretsOption],
  run: async (context) => {
    const row = wantedSetting(context.words);
    const image = selectDescribedImage(await readProject(context), context);
    const explanation = explainSetting(image, row, hostFiles);
    const options = { revealSecrets: showsSecrets(context) };
    context.print(
      context.options.json ? explanationJson(explanation, options) : explanationText(explanation, options),
    );
    return 0;
  },
};

export interface ExplainOptions {
  readonly revealSecrets: boolean;
}

function wantedSetting([name, ...more]: readonly string[]): SettingRow {
  const row = name === undefined ? undefined : settingNamed(name);
  if (row !== undefined && more.length === 0) return row;
  const names = settingRows.map((known) => known.name);
  const near = name === undefined ? undefined : closest(bareName(name), names);
  const message =
    name === undefined
      ? 'explain needs the name of a setting'
      : row === undefined
        ? `there is no setting '${name}'`
        : `'${more.join(' ')}' is too much`;
  const hint =
    row === undefined && near !== undefined ? `Did you mean '${near}'?` : 'Write mkimg explain SETTING.';
  throw new ConfigurationError([{ severity: 'error', code: 'bad-usage', message, hint }]);
}

/** The explanation for people. */
export function explanationText(explanation: Explanation, options: ExplainOptions): string {
  const { row, image, assignments, mentions } = explanation;
  const values = valueItems(explanation, options);
  const rest = [
    ...section(
      'Assignments, in the order of reading:',
      assignments.map((given) => assignmentLine(given, row, options)),
    ),
    ...section(
      'In files that do not count:',
      mentions.flatMap((mention) => mentionLines(mention, row, options)),
    ),
  ];
  return [
    `${row.name}= of image ${image.name}: ${row.setting.summary}`,
    '',
    ...aligned(values.map(({ text, origin }) => [text, originText(origin)])),
    ...rest,
    '',
    `Default: ${defaultText(explanation, options)}`,
    `Holds for: ${scopes[row.setting.scope]}`,
  ].join('\n');
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : ['', title, ...lines];
}

interface Item {
  readonly text: string;
  readonly origin: Origin;
}

function valueItems({ row, image }: Explanation, options: ExplainOptions): readonly Item[] {
  const { value, entries } = image.resolved(row.name);
  const { codec } = row.setting;
  const origin = entries.at(-1)?.origin ?? ({ kind: 'default' } as const);
  if (value === undefined) return [{ text: '(none)', origin }];
  const items = codec.merge === 'replace' ? [] : codec.items(value);
  if (codec.merge === 'replace') return [{ text: show(row, value, options), origin }];
  if (items.length === 0) return [{ text: '(empty)', origin }];
  return items.map((item, index) => ({
    text: show(row, codec.collect([item]), options),
    origin: image.originOf(row.name, codec.merge === 'append' ? index : codec.label(item)),
  }));
}

function show({ setting: { codec } }: SettingRow, value: unknown, { revealSecrets }: ExplainOptions): string {
  const text = codec.show(revealSecrets || codec.redact === undefined ? value : codec.redact(value));
  return text === '' ? '(empty)' : text;
}

function assignmentLine(
  { assignment, effect, by }: ExplainedAssignment,
  row: SettingRow,
  options: ExplainOptions,
): string {
  const { kind, origin } = assignment;
  const what = {
    set: assignedText(assignment, row, options),
    clear: 'cleared: drops what stood before',
    'handed-down': `${assignedText(assignment, row, options)}, to start from`,
    forced: `${assignedText(assignment, row, options)}, which decides`,
  }[kind];
  const words = { counts: '', partly: ' in part', overridden: '' }[effect];
  const fate =
    effect === 'counts' ? '' : ` [overridden${words}${by === undefined ? '' : ` by ${originText(by)}`}]`;
  const from = origin.kind === 'inherited' ? mainPlace(assignment) : layerName(assignment);
  return `  ${originText(origin)}${from}: ${what}${fate}`;
}

/** Of a value that another image handed down: where that image has it from. */
function mainPlace({ entries }: Assignment): string {
  const place = entries.at(-1)?.origin;
  return place === undefined ? '' : ` (${originText(place)})`;
}

/** The layer, where the place alone does not tell it. */
function layerName({ layer, origin }: Assignment): string {
  return layer === 'files' || origin.kind !== 'file' ? '' : ` (${layer})`;
}

function assignedText({ text, entries }: Assignment, row: SettingRow, options: ExplainOptions): string {
  if (text !== undefined) return text.replace(/\s*\n\s*/g, ' ');
  if (entries.length === 0) return '(empty)';
  return show(row, row.setting.codec.collect(entries.map(({ value }) => value)), options);
}

function mentionLines(
  { file, origin, text }: Mention,
  row: SettingRow,
  options: ExplainOptions,
): readonly string[] {
  const isSecret = row.setting.codec.redact !== undefined && !options.revealSecrets;
  const shown = text === '' ? 'cleared' : isSecret ? redacted : text.replace(/\s*\n\s*/g, ' ');
  return [
    `  ${originText(origin)}: ${shown}`,
    ...(file.profile === undefined ? [] : [`    profile '${file.profile}' is not on`]),
    ...file.failed.map((condition) => `    ${conditionText(condition)}`),
  ];
}

function conditionText({ section: name, key, wanted, actual, origin }: FailedCondition): string {
  const value = actual === undefined ? '' : `: it is '${actual}'`;
  return `[${name}] ${key}=${wanted} does not hold${value} (${originText(origin)})`;
}

function defaultText({ row, image, defaultFrom }: Explanation, options: ExplainOptions): string {
  const value = image.defaultOf(row.name);
  const shown = value === undefined ? '(none)' : show(row, value, options);
  if (defaultFrom.length === 0) return shown;
  return `${shown}, which follows from ${defaultFrom.map((name) => `${name}=`).join(', ')}`;
}

function aligned(rows: readonly (readonly [left: string, right: string])[]): readonly string[] {
  const width = Math.min(40, Math.max(...rows.map(([left]) => left.length)));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  (${right})`);
}

/** The explanation as one JSON document. */
export function explanationJson(explanation: Explanation, options: ExplainOptions): string {
  const { row, image, assignments, mentions, defaultFrom } = explanation;
  const document: Json = {
    image: image.name,
    setting: row.name,
    value: json(row, image.resolved(row.name).value, options),
    items: valueItems(explanation, options).map(({ text, origin }) => ({ text, origin: originText(origin) })),
    isDefault: image.isDefault(row.name),
    default: json(row, image.defaultOf(row.name), options),
    defaultFollowsFrom: defaultFrom,
    scope: row.setting.scope,
    assignments: assignments.map(({ assignment, effect, by }) => ({
      origin: originText(assignment.origin),
      layer: assignment.layer,
      kind: assignment.kind,
      text: assignedText(assignment, row, options),
      effect,
      ...(by && { overriddenBy: originText(by) }),
    })),
    notCounting: mentions.map(({ file, origin, text }) => ({
      origin: originText(origin),
      text: row.setting.codec.redact !== undefined && !options.revealSecrets ? redacted : text,
      ...(file.profile !== undefined && { profile: file.profile }),
      conditions: file.failed.map(({ actual, origin: place, ...condition }) => ({
        ...condition,
        actual: actual ?? null,
        origin: originText(place),
      })),
    })),
  };
  return JSON.stringify(document, undefined, 2);
}

function json({ setting: { codec } }: SettingRow, value: unknown, { revealSecrets }: ExplainOptions): Json {
  if (value === undefined) return null;
  return codec.json(revealSecrets || codec.redact === undefined ? value : codec.redact(value));
}

function originText(origin: Origin): string {
  return describeOrigin(origin) ?? 'default';
}
