import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { settingsReference } from '../../src/config/reference.ts';
import { referenceMark, testSettingsReference } from '../../src/config/tests/reference.ts';
import { manualIn } from '../../src/cli/documentation.ts';
import { helpText } from '../../src/cli/help.ts';
import { defaultVerb, verbs } from '../../src/cli/verbs.ts';
import * as table from '../../src/config/settings/table.ts';

const at = (path: string): string => resolve(import.meta.dirname, '../..', path);
const file = (path: string): string => readFileSync(at(path), 'utf8');

describe('what `npm run docs` writes', () => {
  it('docs/settings.md is current', () => {
    expect(file('docs/settings.md')).toBe(settingsReference());
  });

  it('docs/testing.md is current', () => {
    expect(file('docs/testing.md').split(referenceMark)[1]).toBe(testSettingsReference());
  });

  it('docs/man/mkimg.1 is current', async () => {
    expect(file('docs/man/mkimg.1')).toBe(await manualIn('man', verbs));
  });
});

describe('the documentation', () => {
  const pages = readdirSync(at('docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`);
  pages.unshift('README.md');

  it.each(pages)('%s links to what there is', (page) => {
    const text = file(page);
    for (const [, target = '', anchor] of text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)) {
      const path = target === '' ? page : resolve(dirname(at(page)), target);
      expect(existsSync(resolve(at('.'), path)), target).toBe(true);
      if (anchor !== undefined)
        expect(headings(target === '' ? text : readFileSync(path, 'utf8'))).toContain(anchor);
    }
  });

  /** Anchors of the headings, as GitHub makes them. */
  function headings(text: string): readonly string[] {
    return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    );
  }
});

describe('the verbs', () => {
  const names = verbs.flatMap(({ name, aliases = [] }) => [name, ...aliases]);

  it('have names of their own, one of which is the default', () => {
    expect(names).toEqual([...new Set(names)]);
    expect(names).toContain(defaultVerb);
  });

  it.each(verbs.map((verb) => [verb.name, verb] as const))('%s says what it does and takes', (name, verb) => {
    expect(name).toMatch(/^[a-z][a-z-]*$/);
    expect(verb.summary).toMatch(/^[A-Z].{10,90}[^.]$/);
    expect(verb.doc?.length, 'it has no documentation').toBeGreaterThan(40);
    expect(new Set(verb.options.map((option) => option.name)).size).toBe(verb.options.length);
    const flags = table.flagRows.map(({ long }) => long);
    for (const option of verb.options) {
      expect(option.name).toMatch(/^[a-z][a-z-]*$/);
      expect(option.summary).toMatch(/^[A-Za-z].{5,90}[^.]$/);
      expect(flags, `--${option.name} is a setting as well`).not.toContain(option.name);
    }
    const help = helpText(verbs, table.flagRows, verb);
    for (const option of verb.options) expect(help).toContain(`--${option.name}`);
    expect(helpText(verbs, table.flagRows, undefined)).toContain(verb.summary);
    expect(file('README.md')).toContain(`mkimg ${name}`);
  });
});
