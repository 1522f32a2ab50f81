import { readFile } from 'node:fs/promises';
import { settingReference } from '../../config/reference.ts';
import { settingRows } from '../../config/settings/table.ts';
import { globalFlags } from '../arguments.ts';
import type { Verb } from '../verb.ts';
import { verbReference } from './verb-reference.ts';

/** A manual as it lies in docs/man: its date, and prose with `{{placeholders}}` in Markdown. */
export interface Manual {
  readonly date: string;
  readonly markdown: string;
}

/** Reads docs/man/mkimg.1.md and fills in what the tables of verbs, flags and settings hold. */
export async function readManual(verbs: readonly Verb[]): Promise<Manual> {
  const template = await readFile(new URL('../../../docs/man/mkimg.1.md', import.meta.url), 'utf8');
  const [, date, text] = /^<!-- (\d{4}-\d\d-\d\d) -->\n(.*)$/s.exec(template) ?? [];
  if (date === undefined || text === undefined) throw new Error('internal: the manual has no date');
  return { date, markdown: filled(text, placeholders(verbs)) };
}

function placeholders(verbs: readonly Verb[]): ReadonlyMap<string, string> {
  return new Map([
    ['verbs', verbs.map(verbReference).join('\n')],
    ['flags', generalFlags()],
    ['settings', settings()],
  ]);
}

/** @throws Error (internal) where the text lacks a placeholder, or has one that nothing fills */
export function filled(text: string, values: ReadonlyMap<string, string>): string {
  const used = new Set<string>();
  const result = text.replace(/\{\{([a-z-]+)\}\}/g, (_whole, name: string) => {
    const value = values.get(name);
    if (value === undefined) throw new Error(`internal: nothing fills {{${name}}} of the manual`);
    used.add(name);
    return value;
  });
  const missing = [...values.keys()].find((name) => !used.has(name));
  if (missing !== undefined) throw new Error(`internal: the manual has no place {{${missing}}}`);
  return result;
}

function generalFlags(): string {
  return globalFlags
    .map((flag) => {
      const long = `\`--${flag.long}${flag.takesValue ? '=VALUE' : ''}\``;
      return `- ${long}${'short' in flag ? `, \`-${flag.short}\`` : ''}: ${flag.summary}`;
    })
    .join('\n');
}

function settings(): string {
  const sections = [...new Set(settingRows.map(({ section }) => section))];
  return sections
    .map((section) => {
      const rows = settingRows.filter((row) => row.section === section);
      return `## [${section}]\n\n${rows.map(settingReference).join('\n')}`;
    })
    .join('\n');
}
