import { ConfigurationError } from '../base/errors.ts';
import { closest } from '../base/suggestion.ts';
import { settingReference } from '../config/reference.ts';
import { settingRows } from '../config/settings/table.ts';
import { testSettingNames, testSettingReference } from '../config/tests/reference.ts';
import { readManual } from './documentation/manual.ts';
import { parseMarkdown } from './documentation/markdown.ts';
import { plainText } from './documentation/plain-text.ts';
import { manualPage } from './documentation/roff.ts';
import { verbReference } from './documentation/verb-reference.ts';
import { bareName, settingNamed } from './setting-name.ts';
import type { Verb, VerbContext } from './verb.ts';
import { productVersion } from './version.ts';

const formats = ['text', 'markdown', 'man'] as const;
export type DocumentationFormat = (typeof formats)[number];

/** `verbs` are those of the whole program, this one included. */
export function documentationVerb(verbs: () => readonly Verb[]): Verb {
  return {
    name: 'documentation',
    summary: 'Show the manual, or what it says of a setting or a verb',
    doc: `Prints the manual page as text; with the name of a setting (\`Packages\`, \`Packages=\` or \`--package\`), of one of tests
(\`WaitForUnit\`) or of a verb, what it says of that alone. It is made from the same table that configuration is read by, so that it is about this very version.`,
    answers: true,
    words: {
      usage: '[SETTING|VERB]',
      choices: () => [
        ...new Set([
          ...verbs().map(({ name }) => name),
          ...settingRows.map(({ name }) => name),
          ...testSettingNames,
        ]),
      ],
    },
    options: [
      { name: 'doc-format', takesValue: true, summary: 'text (as it is by default), markdown or man' },
    ],
    run: async (context) => {
      context.print(await documentation(context, verbs()));
      return 0;
    },
  };
}

async function documentation(context: VerbContext, verbs: readonly Verb[]): Promise<string> {
  const format = formatOf(context);
  const [name, ...more] = context.words;
  if (more.length > 0) throw usage(`'${more.join(' ')}' is too much`, 'Name one setting or verb.');
  return name === undefined ? manualIn(format, verbs) : inFormat(partAbout(name, verbs), format);
}

/** The whole manual of these verbs and the settings. */
export async function manualIn(format: DocumentationFormat, verbs: readonly Verb[]): Promise<string> {
  const { date, markdown } = await readManual(verbs);
  return inFormat(markdown, format, date);
}

async function inFormat(markdown: string, format: DocumentationFormat, date = ''): Promise<string> {
  if (format === 'markdown') return markdown;
  const blocks = parseMarkdown(markdown);
  if (format === 'text') return plainText(blocks);
  const source = `mkimg ${await productVersion()}`;
  return manualPage({ name: 'mkimg', section: 1, date, source }, blocks);
}

function formatOf({ options }: VerbContext): DocumentationFormat {
  const given = options.extra['doc-format'] ?? 'text';
  const format = formats.find((known) => known === given);
  if (format === undefined) throw usage(`there is no format '${given}'`, `Known: ${formats.join(', ')}.`);
  return format;
}

function partAbout(name: string, verbs: readonly Verb[]): string {
  const verb = verbs.find((known) => known.name === name || known.aliases?.includes(name) === true);
  if (verb !== undefined) return verbReference(verb);
  const row = settingNamed(name);
  const parts = [
    row === undefined ? undefined : settingReference(row),
    testSettingReference(name.replace(/=$/, '')),
  ].filter((part) => part !== undefined);
  if (parts.length > 0) return parts.join('\n');
  const near = closest(bareName(name), [
    ...verbs.flatMap((known) => [known.name, ...(known.aliases ?? [])]),
    ...settingRows.map((known) => known.name),
    ...testSettingNames,
  ]);
  throw usage(
    `there is neither a setting nor a verb '${name}'`,
    near === undefined ? "'mkimg --help' lists them." : `Did you mean '${near}'?`,
  );
}

function usage(message: string, hint: string): ConfigurationError {
  return new ConfigurationError([{ severity: 'error', code: 'bad-usage', message, hint }]);
}
