import { hostPath, imageName } from '../base/brand.ts';
import type { FallbackContext, ImplicitFile, Scope } from './setting.ts';
import type { SettingRow } from './settings/table.ts';
import { flagRows, settingRows } from './settings/table.ts';

/** One thing to know about a setting; `text` is Markdown of one line. */
export interface Fact {
  readonly label: string;
  readonly text: string;
}

/** What each scope means, in a few words. */
export const scopes: Readonly<Record<Scope, string>> = {
  local: 'the image that sets it',
  universal: 'all images; the main image decides',
  multiversal: 'all images and the tools tree; the main image decides',
  inherit: "the image; other images start from the main image's value",
  'initrd-inherit': "the image; the default initrd starts from the main image's value",
  main: 'the main image',
  tools: 'the tools tree; the main image sets it',
  initrd: 'the default initrd; the main image sets it',
};

const introduction = `# Settings

Made by \`npm run docs\` from the table of settings; change the table, not this file.

Settings have the names and meanings that they have in mkosi. Each can be given in a file, below the header of its section,
or as a flag. Lists grow with each assignment; an empty one drops what stood before. \`mkimg summary --origin\` shows the
values of a project and where each comes from, \`mkimg explain SETTING\` how a value came about, and
\`mkimg documentation SETTING\` what stands here. Settings without effect yet are understood, checked and shown; a build
says which of them it leaves out.
`;

/** The reference of all settings as Markdown, by section: docs/settings.md. */
export function settingsReference(): string {
  const sections = [...new Set(settingRows.map(({ section }) => section))];
  const parts = sections.flatMap((section) => {
    const rows = settingRows.filter((row) => row.section === section);
    const head = '| setting | what it is | value | default | holds for | effect |\n|---|---|---|---|---|---|';
    return [`## [${section}]\n\n${head}\n${rows.map(indexLine).join('\n')}\n`, ...rows.map(settingReference)];
  });
  return [introduction, ...parts].join('\n');
}

function indexLine(row: SettingRow): string {
  const { name, setting } = row;
  const kind = /^(?:list of )?one of /.test(setting.codec.kind)
    ? setting.codec.kind.replace(/one of .*/, 'word')
    : setting.codec.kind;
  const cells = [
    `[${name}=](#${name.toLowerCase()})`,
    setting.summary,
    kind,
    defaultOf(row),
    setting.scope,
    setting.effect === 'later' ? 'not yet' : 'yes',
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** What there is to say about one setting, as Markdown that begins with a heading. */
export function settingReference(row: SettingRow): string {
  const { name, setting } = row;
  // Another mark than that of lists in the text, which may follow at once: so these stay lists of their own.
  const list = settingFacts(row).map(({ label, text }) => `* ${label}: ${text}`);
  return `### ${name}=\n\n${setting.summary}.\n\n${list.join('\n')}\n\n${setting.doc.trim()}\n`;
}

/** The facts that the table holds about a setting; those that do not apply are left out. */
export function settingFacts(row: SettingRow): readonly Fact[] {
  const { name, setting } = row;
  const facts: Readonly<Record<string, string | undefined>> = {
    Flag: flagsOf(name),
    Value: setting.codec.kind,
    Choices: choicesOf(row),
    Default: defaultOf(row),
    'Holds for': scopes[setting.scope],
    'Picked up from': setting.implicit?.map(implicitFile).join(', '),
    Specifier: setting.specifier === undefined ? undefined : `\`%${setting.specifier}\``,
    'In [Match]': setting.match === undefined ? undefined : 'yes',
    Effect: setting.effect === 'later' ? 'none yet' : undefined,
    'Older names': olderNames(setting),
  };
  return Object.entries(facts).flatMap(([label, text]) => (text === undefined ? [] : [{ label, text }]));
}

/** The words that may be written, where the kind of value does not name them. */
function choicesOf({ setting: { codec } }: SettingRow): string | undefined {
  const words = codec.choices ?? [];
  const missing = words.some((word) => !codec.kind.includes(word));
  return missing ? words.map((word) => `\`${word}\``).join(', ') : undefined;
}

function flagsOf(name: string): string | undefined {
  const row = flagRows.find(({ setting }) => setting === name);
  if (row === undefined) return undefined;
  const { long, short, shorthand, bare } = row;
  return [
    `\`--${long}${bare === undefined ? '=VALUE' : '[=VALUE]'}\``,
    ...(short === undefined ? [] : [`\`-${short} VALUE\``]),
    ...(shorthand === undefined ? [] : [`\`-${shorthand.letter}\` for \`${shorthand.text}\``]),
    ...(bare === undefined ? [] : [`without a value it means \`${bare}\``]),
  ].join(', ');
}

function implicitFile({ suffix, type, use }: ImplicitFile): string {
  const path = `\`mkimg${suffix}${type === 'directory' ? '/' : ''}\``;
  return { path, content: `the text of ${path}`, entries: `the files in ${path}` }[use];
}

/** A default that is the same everywhere is shown; of others, what they follow from. */
function defaultOf({ setting }: SettingRow): string {
  const needed = Object.keys(setting.fallback.from);
  if (needed.length > 0) return `follows from ${needed.map((name) => `\`${name}=\``).join(', ')}`;
  const [here, there] = [machine('here', 'x86-64'), machine('there', 'arm64')].map((context) =>
    setting.fallback.make({}, context),
  );
  if (here === undefined && there === undefined) return 'none';
  const [shown, other] = [setting.codec.show(here), setting.codec.show(there)];
  if (shown !== other) return 'depends on where mkimg runs';
  return shown === '' ? 'empty' : `\`${shown}\``;
}

function machine(name: string, architecture: 'x86-64' | 'arm64'): FallbackContext {
  return {
    image: imageName(name),
    directory: hostPath(`/${name}`),
    configuration: hostPath(`/${name}`),
    host: { architecture, distribution: name, codename: name },
    environment: {},
  };
}

function olderNames({ oldNames = [], oldForms = {} }: SettingRow['setting']): string | undefined {
  const names = [...oldNames, ...Object.keys(oldForms)].map((old) => `\`${old}=\``);
  return names.length === 0 ? undefined : names.join(', ');
}
