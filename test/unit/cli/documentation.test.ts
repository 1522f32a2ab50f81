import { describe, expect, it } from 'vitest';
import { documentationVerb } from '../../../src/cli/documentation.ts';
import { filled } from '../../../src/cli/documentation/manual.ts';
import { parseMarkdown } from '../../../src/cli/documentation/markdown.ts';
import { plainText } from '../../../src/cli/documentation/plain-text.ts';
import { manualPage } from '../../../src/cli/documentation/roff.ts';
import { verbReference } from '../../../src/cli/documentation/verb-reference.ts';
import { verbs } from '../../../src/cli/verbs.ts';
import { ConfigurationError } from '../../../src/base/errors.ts';
import { hostPath } from '../../../src/base/brand.ts';
import { settingReference } from '../../../src/config/reference.ts';
import { settingRows } from '../../../src/config/settings/table.ts';

const sample = `# TITLE

A \`--flag value\` and **bold** words, [a page](https://example.org/x) and [another](other.md), that are long enough to wrap
onto a second line.

- one
- two, of which there is

      code \\ 'quoted'
* another list

| name | meaning |
|---|---|
| \`a\` | first |
| long | second |

### Below

.begins with a dot
`;

describe('documentation', () => {
  it('is set as plain text', () => {
    expect(plainText(parseMarkdown(sample), 60)).toBe(`TITLE
=====

A --flag value and bold words, a page
(https://example.org/x) and another, that are long enough to
wrap onto a second line.

- one
- two, of which there is

      code \\ 'quoted'

- another list

name  meaning
a     first
long  second

Below

.begins with a dot
`);
  });

  it('is set as a manual page', () => {
    const title = { name: 'sample', section: 1, date: '2026-01-02', source: 'sample 1' };
    expect(manualPage(title, parseMarkdown(sample))).toBe(`.TH SAMPLE 1 2026-01-02 "sample 1" "User Commands"
.SH TITLE
A \\fB\\-\\-flag value\\fR and \\fBbold\\fR words, a page (https://example.org/x) and another, that are
long enough to wrap onto a second line.
.IP \\(bu 2
one
.IP \\(bu 2
two, of which there is
.RS 2
.RS 4
.nf
code \\e \\(aqquoted\\(aq
.fi
.RE
.RE
.IP \\(bu 2
another list
.TP
\\fBa\\fR
first
.TP
long
second
.PP
\\fBBelow\\fR
.RS 4
\\&.begins with a dot
.RE
`);
  });

  it.each([
    ...settingRows.map((row) => [`${row.name}=`, settingReference(row)] as const),
    ...verbs.map((verb) => [verb.name, verbReference(verb)] as const),
  ])('of %s can be set', (_name, markdown) => {
    const text = plainText(parseMarkdown(markdown));
    expect(text.length).toBeGreaterThan(60);
    // Marks that are left over come from Markdown that was not understood.
    expect(text.replaceAll('***', '')).not.toMatch(/`|\*\*|\]\(/);
  });

  it('fills each place of the manual, and only those', () => {
    const values = new Map([['one', '1']]);
    expect(filled('a {{one}} b {{one}}', values)).toBe('a 1 b 1');
    expect(() => filled('a {{two}}', values)).toThrow('nothing fills {{two}}');
    expect(() => filled('a', values)).toThrow('no place {{one}}');
  });
});

describe('mkimg documentation', () => {
  async function run(words: readonly string[], format?: string): Promise<string> {
    let printed = '';
    await documentationVerb(() => verbs).run({
      assignments: [],
      options: {
        directory: hostPath('/nowhere'),
        force: 0,
        json: false,
        debug: false,
        extra: format === undefined ? {} : { 'doc-format': format },
      },
      words,
      rest: [],
      events: { emit: () => undefined },
      signal: new AbortController().signal,
      insist: new AbortController().signal,
      print: (text) => void (printed += text),
    });
    return printed;
  }

  it.each(['Packages', 'Packages=', '--package', 'packages', 'Packages=vim'])('finds %s', async (name) => {
    expect(await run([name])).toMatch(/^Packages=\n/);
  });

  it('finds verbs, by other names too', async () => {
    expect(await run(['vm'])).toMatch(/^mkimg qemu\n/);
  });

  it('finds settings of tests, behind one of the configuration that has the same name', async () => {
    expect(await run(['WaitForUnit='])).toMatch(/^In tests, \[Step\]:\n\nWaitForUnit=\n/);
    expect(await run(['Timeout'])).toMatch(/\[Test\]:[^]*\[Step\]:/);
  });

  it('knows the manual in each of its forms', async () => {
    expect(await run([])).toMatch(/^NAME\n====\n/);
    expect(await run([], 'markdown')).toMatch(/^# NAME\n/);
    expect(await run([], 'man')).toMatch(/^\.TH MKIMG 1 \d{4}-\d\d-\d\d "mkimg [\d.]+"/);
  });

  it.each([
    [['packges'], undefined, "Did you mean 'Packages'?"],
    [['sumary'], undefined, "Did you mean 'summary'?"],
    [['xyzzyplugh'], undefined, "'mkimg --help' lists them."],
    [['Packages', 'Format'], undefined, 'Name one setting or verb.'],
    [[], 'pdf', 'Known: text, markdown, man.'],
  ] as const)('says what to write instead of %s', async (words, format, hint) => {
    const error: unknown = await run(words, format).catch((thrown: unknown) => thrown);
    if (!(error instanceof ConfigurationError)) throw new Error('no configuration error');
    expect(error.diagnostics).toMatchObject([{ code: 'bad-usage', hint }]);
  });
});
