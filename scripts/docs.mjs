// `npm run docs`: writes docs/settings.md from the table of settings. A contract test keeps it up to date.
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { projectDirectory, run } from './setup.mjs';

/**
 * The table of settings: src/config/settings/table.ts, or what it is compiled to.
 * @typedef {Pick<typeof import('../src/config/settings/table.ts'), 'settingRows' | 'flagRows'>} Table
 * @typedef {import('../src/config/settings/table.ts').SettingRow} Row
 */

/** @type {Readonly<Record<import('../src/config/setting.ts').Scope, string>>} */
const scopes = {
  local: 'the image that sets it',
  universal: 'all images; the main image decides',
  multiversal: 'all images and the tools tree; the main image decides',
  inherit: "the image; other images start from the main image's value",
  'initrd-inherit': "the image; the default initrd starts from the main image's value",
  main: 'the main image',
};

const introduction = `# Settings

Made by \`npm run docs\` from the table of settings; change the table, not this file.

Settings have the names and meanings that they have in mkosi. Each can be given in a file, below the header of its section,
or as a flag. Lists grow with each assignment; an empty one drops what stood before. \`mkimg summary --origin\` shows the
values of a project and where each comes from.
`;

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  run('npm', ['run', '--silent', 'build']);
  /** @type {Table} */
  const table = await import(join(projectDirectory, 'dist/config/settings/table.js'));
  writeFileSync(join(projectDirectory, 'docs/settings.md'), settingsReference(table));
}

/** The text of docs/settings.md. @param {Table} table */
export function settingsReference({ settingRows, flagRows }) {
  const sections = [...new Set(settingRows.map(({ section }) => section))];
  const parts = sections.flatMap((section) => {
    const rows = settingRows.filter((row) => row.section === section);
    const index = rows.map(
      ({ name, setting }) => `| [${name}=](#${name.toLowerCase()}) | ${setting.summary} |`,
    );
    return [
      `## [${section}]\n\n| setting | what it is |\n|---|---|\n${index.join('\n')}\n`,
      ...rows.map((row) => describe(row, flagRows)),
    ];
  });
  return [introduction, ...parts].join('\n');
}

/** @param {Row} row @param {Table['flagRows']} flagRows */
function describe(row, flagRows) {
  const { name, setting } = row;
  const facts = {
    Flag: flags(name, flagRows),
    Value: setting.codec.kind,
    Choices: choices(setting.codec),
    Default: defaultOf(row),
    'Holds for': scopes[setting.scope],
    'Picked up from': setting.implicit?.map(implicitFile).join(', '),
    Specifier: setting.specifier === undefined ? undefined : `\`%${setting.specifier}\``,
    'In [Match]': setting.match === undefined ? undefined : 'yes',
    'Older names': setting.oldNames?.map((old) => `\`${old}=\``).join(', '),
  };
  const list = Object.entries(facts).flatMap(([label, fact]) =>
    fact === undefined ? [] : `- ${label}: ${fact}`,
  );
  return `### ${name}=\n\n${setting.summary}.\n\n${list.join('\n')}\n\n${setting.doc.trim()}\n`;
}

/** The words that may be written, where the kind of value does not name them. @param {Row['setting']['codec']} codec */
function choices({ kind, choices: words = [] }) {
  const missing = words.some((word) => !kind.includes(word));
  return missing ? words.map((word) => `\`${word}\``).join(', ') : undefined;
}

/** @param {string} name @param {Table['flagRows']} flagRows */
function flags(name, flagRows) {
  const row = flagRows.find(({ setting }) => setting === name);
  if (row === undefined) return undefined;
  const long = row.bare === undefined ? `--${row.long}=VALUE` : `--${row.long}[=VALUE]`;
  return [
    `\`${long}\``,
    ...(row.short === undefined ? [] : [`\`-${row.short} VALUE\``]),
    ...(row.shorthand === undefined ? [] : [`\`-${row.shorthand.letter}\` for \`${row.shorthand.text}\``]),
    ...(row.bare === undefined ? [] : [`without a value it means \`${row.bare}\``]),
  ].join(', ');
}

/** @param {import('../src/config/setting.ts').ImplicitFile} file */
function implicitFile({ suffix, type, use }) {
  const path = `\`mkimg${suffix}${type === 'directory' ? '/' : ''}\``;
  return { path, content: `the text of ${path}`, entries: `the files in ${path}` }[use];
}

/**
 * A default that is the same everywhere is shown; of others, what they follow from.
 * @param {Row} row
 */
function defaultOf({ setting }) {
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

/**
 * @param {string} name @param {'x86-64' | 'arm64'} architecture
 * @returns {import('../src/config/setting.ts').FallbackContext}
 */
function machine(name, architecture) {
  return {
    image: /** @type {import('../src/base/brand.ts').ImageName} */ (name),
    directory: /** @type {import('../src/base/brand.ts').HostPath} */ (`/${name}`),
    host: { architecture, distribution: name, codename: name },
    environment: {},
  };
}
