import type { Json } from '../base/canonical.ts';
import type { Origin } from '../base/diagnostic.ts';
import type { Project, ResolvedImage } from '../config/project.ts';
import { projectJson } from '../config/project-json.ts';
import type { SettingRow } from '../config/settings/table.ts';
import { settingRows } from '../config/settings/table.ts';
import { describeOrigin } from './diagnostics.ts';
import { showSecretsOption, showsSecrets } from './secrets.ts';
import { describedImages, imageOption } from './session/images.ts';
import { readProject } from './session/project.ts';
import { autoBumpOption } from './session/remembered-build.ts';
import type { Verb } from './verb.ts';

export interface SummaryOptions {
  /** Say where each value came from. */
  readonly origin: boolean;
  readonly revealSecrets: boolean;
  /** Those to show; by default all of the project, that of the tools tree among them. */
  readonly images?: readonly ResolvedImage[];
}

const nameWidth = 26;

export const summaryVerb: Verb = {
  name: 'summary',
  summary: 'Show the settings that are in effect',
  doc: `Prints each image with the settings that differ from their defaults, and those that are worth knowing in any case.
\`--json\` prints all settings in the form that mkosi uses (\`mkimg schema\` describes it), \`--origin\` adds where each value came
from, and \`--image\` picks one image. Passwords and the like are shown as \`***\`. Nothing is built.`,
  answers: true,
  options: [
    { name: 'origin', takesValue: false, summary: 'Say where each value came from' },
    imageOption,
    showSecretsOption,
    { ...autoBumpOption, summary: 'Of build; changes nothing here' },
  ],
  run: async (context) => {
    const project = await readProject(context);
    const { extra, json } = context.options;
    const options = {
      origin: extra['origin'] !== undefined,
      revealSecrets: showsSecrets(context),
      images: describedImages(project, context),
    };
    context.print(json ? summaryJson(project, options) : summaryText(project, options));
    return 0;
  },
};

/** The resolved configuration in mkosi's shape, indented; with `origin`, each image also has `Origins`. */
export function summaryJson(project: Project, options: SummaryOptions): string {
  const { Images, Tools } = projectJson(project, options);
  const wanted = (image: ResolvedImage): boolean => options.images?.includes(image) ?? true;
  const withOrigins = (image: ResolvedImage, json: ImageJson): ImageJson =>
    options.origin ? { ...json, Origins: originsJson(image) } : json;
  const images = project.images.flatMap((image, index) =>
    wanted(image) ? [withOrigins(image, Images[index] ?? {})] : [],
  );
  const { tools } = project;
  const isToolsWanted = tools !== undefined && Tools !== null && wanted(tools);
  return JSON.stringify(
    { Images: images, Tools: isToolsWanted ? withOrigins(tools, Tools) : null },
    undefined,
    4,
  );
}

type ImageJson = Readonly<Record<string, Json>>;

/** What differs from the defaults, and what is worth knowing in any case, by section. */
export function summaryText(project: Project, options: SummaryOptions): string {
  const images = options.images ?? [
    ...(project.tools === undefined ? [] : [project.tools]),
    ...project.images,
  ];
  return images.map((image) => imageLines(image, options).join('\n')).join('\n\n');
}

function originsJson(image: ResolvedImage): Readonly<Record<string, readonly string[]>> {
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
