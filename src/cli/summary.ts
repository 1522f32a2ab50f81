import type { Origin } from '../base/diagnostic.ts';
import type { Project, ResolvedImage } from '../config/project.ts';
import { projectJson } from '../config/project-json.ts';
import type { SettingRow } from '../config/settings/table.ts';
import { settingRows } from '../config/settings/table.ts';
import { describeOrigin } from './diagnostics.ts';
import { readProject } from './session/project.ts';
import type { Verb } from './verb.ts';

export interface SummaryOptions {
  /** Say where each value came from. */
  readonly origin: boolean;
  readonly revealSecrets: boolean;
}

const nameWidth = 26;

export const summaryVerb: Verb = {
  name: 'summary',
  summary: 'Show the settings that are in effect',
  doc: `Prints each image with the settings that differ from their defaults, and those that are worth knowing in any case.
\`--json\` prints all settings in the form that mkosi uses (\`mkimg schema\` describes it), \`--origin\` adds where each value came
from. Passwords and the like are shown as \`***\`. Nothing is run.`,
  answers: true,
  options: [
    { name: 'origin', takesValue: false, summary: 'Say where each value came from' },
    {
      name: 'show-secrets',
      takesValue: false,
      summary: 'Show passwords and credentials (also MKIMG_SHOW_SECRETS=1)',
    },
  ],
  run: async (context) => {
    const project = await readProject(context);
    const { extra, json } = context.options;
    const options = {
      origin: extra['origin'] !== undefined,
      revealSecrets: extra['show-secrets'] !== undefined || process.env['MKIMG_SHOW_SECRETS'] === '1',
    };
    context.print(json ? summaryJson(project, options) : summaryText(project, options));
    return 0;
  },
};

/** The resolved configuration in mkosi's shape, indented; with `origin`, each image also has `Origins`. */
export function summaryJson(project: Project, options: SummaryOptions): string {
  const { Images, Tools } = projectJson(project, options);
  const withOrigins = options.origin
    ? Images.map((json, index) => ({ ...json, Origins: originsJson(project.images[index]) }))
    : Images;
  return JSON.stringify({ Images: withOrigins, Tools }, undefined, 4);
}

/** What differs from the defaults, and what is worth knowing in any case, by section. */
export function summaryText(project: Project, options: SummaryOptions): string {
  return project.images.flatMap((image) => imageLines(image, options)).join('\n');
}

function originsJson(image: ResolvedImage | undefined): Readonly<Record<string, readonly string[]>> {
  if (image === undefined) return {};
  const set = settingRows.filter(({ name }) => image.resolved(name).entries.length > 0);
  return Object.fromEntries(
    set.map(({ name }) => [name, image.resolved(name).entries.map(({ origin }) => originText(origin))]),
  );
}

function imageLines(image: ResolvedImage, options: SummaryOptions): string[] {
  const lines = [`Image ${image.name} (${image.directory})`];
  let section = '';
  for (const row of settingRows) {
    if (image.isDefault(row.name) && !(row.setting.essential === true && hasValue(image, row))) continue;
    if (row.section !== section) {
      section = row.section;
      lines.push('', `  [${section}]`);
    }
    lines.push(...settingLines(image, row, options));
  }
  return lines;
}

function hasValue(image: ResolvedImage, { name, setting: { codec } }: SettingRow): boolean {
  const { value } = image.resolved(name);
  return value !== undefined && codec.items(value).length > 0;
}

interface Item {
  readonly text: string;
  readonly origin: Origin;
}

/** One line for each item of a collection, one for anything else. */
function settingLines(image: ResolvedImage, row: SettingRow, options: SummaryOptions): string[] {
  const items = itemsOf(image, row, options);
  return items.map(({ text, origin }, index) => {
    const name = index === 0 ? `${row.name}:` : '';
    const place = options.origin ? `  (${originText(origin)})` : '';
    return `    ${name.padEnd(nameWidth)} ${text}${place}`;
  });
}

function itemsOf(image: ResolvedImage, row: SettingRow, options: SummaryOptions): readonly Item[] {
  const { codec } = row.setting;
  const { value, entries } = image.resolved(row.name);
  const origin = entries.at(-1)?.origin ?? ({ kind: 'default' } as const);
  if (value === undefined) return [{ text: '(none)', origin }];
  const shown = options.revealSecrets || codec.redact === undefined ? value : codec.redact(value);
  if (codec.merge === 'replace') return [{ text: codec.show(shown), origin }];
  const items = codec.items(shown);
  if (items.length === 0) return [{ text: '(empty)', origin }];
  return items.map((item, index) => ({
    text: codec.show(codec.collect([item])),
    origin: image.originOf(row.name, codec.merge === 'append' ? index : codec.label(item)),
  }));
}

function originText(origin: Origin): string {
  return describeOrigin(origin) ?? 'default';
}
