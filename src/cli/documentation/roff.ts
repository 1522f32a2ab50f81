import type { Block, Inline } from './markdown.ts';
import { wrap } from './plain-text.ts';

export interface ManualTitle {
  readonly name: string;
  readonly section: number;
  /** Of the last change, as YYYY-MM-DD. */
  readonly date: string;
  /** Name and version of the program. */
  readonly source: string;
}

/**
 * Sets documentation as a manual page: roff with the macros of man(7), as groff and mandoc read them. Headings of the
 * first depth become sections, those of the second subsections; deeper ones stand bold above indented text.
 */
export function manualPage(title: ManualTitle, blocks: readonly Block[]): string {
  const { name, section, date, source } = title;
  const head = `.TH ${name.toUpperCase()} ${section} ${date} "${source}" "User Commands"`;
  return `${[head, ...groups(blocks)].join('\n')}\n`;
}

/** Text below a heading of the third depth is indented up to the next heading. */
function groups(blocks: readonly Block[]): readonly string[] {
  const set: string[] = [];
  let indented = false;
  for (const block of blocks) {
    // A paragraph macro right after a heading means nothing, and mandoc says so.
    const first = /^\.(?:S[HS]|RS) /.test(set.at(-1) ?? '');
    if (block.kind !== 'heading') {
      set.push(...blockLines(block, first));
      continue;
    }
    if (indented) set.push('.RE');
    indented = block.depth > 2;
    set.push(...heading(block.depth, block.content, first));
  }
  return indented ? [...set, '.RE'] : set;
}

function heading(depth: number, content: readonly Inline[], first: boolean): readonly string[] {
  if (depth > 2) return [...(first ? [] : ['.PP']), `\\fB${plain(content)}\\fR`, '.RS 4'];
  return [`${depth === 1 ? '.SH' : '.SS'} ${quotedArgument(plain(content))}`];
}

function blockLines(block: Block, first = false): readonly string[] {
  switch (block.kind) {
    case 'heading':
      throw new Error('internal: a heading within a list');
    case 'paragraph':
      return [...(first ? [] : ['.PP']), ...textLines(block.content)];
    case 'code':
      return [
        ...(first ? [] : ['.PP']),
        '.RS 4',
        '.nf',
        ...block.lines.map((line) => protectedLine(escape(line))),
        '.fi',
        '.RE',
      ];
    case 'list':
      return listLines(block.items);
    case 'table':
      return block.rows
        .slice(1)
        .flatMap(([name = [], ...rest]) => ['.TP', ...textLines(name), ...textLines(joined(rest))]);
  }
}

/** Short lists stand close: the distance between paragraphs is switched off after the first item. */
function listLines(items: readonly (readonly Block[])[]): readonly string[] {
  const [start = [], ...rest] = items.map(listItem);
  const isClose = rest.length > 0 && items.every(({ length }) => length === 1);
  return isClose ? [...start, '.PD 0', ...rest.flat(), '.PD'] : [...start, ...rest.flat()];
}

function listItem(item: readonly Block[]): readonly string[] {
  const [start, ...rest] = item;
  if (start === undefined) return [];
  const following = rest.flatMap((block) => ['.RS 2', ...blockLines(block, true), '.RE']);
  return ['.IP \\(bu 2', ...blockLines(start, true), ...following];
}

function joined(cells: readonly (readonly Inline[])[]): readonly Inline[] {
  return cells.flatMap((cell, index) =>
    index === 0 ? cell : [{ kind: 'text' as const, text: '; ' }, ...cell],
  );
}

function textLines(content: readonly Inline[]): readonly string[] {
  return wrap(content.map(inline).join(''), 100).map(protectedLine);
}

function inline(part: Inline): string {
  switch (part.kind) {
    case 'text':
      return escape(part.text);
    case 'code':
    case 'strong':
      return `\\fB${escape(part.text)}\\fR`;
    case 'link':
      return /^https?:/.test(part.target) && part.target !== part.text
        ? `${escape(part.text)} (${escape(part.target)})`
        : escape(part.text);
  }
}

function plain(content: readonly Inline[]): string {
  return escape(content.map(({ text }) => text).join(''));
}

const specialCharacters: Readonly<Record<string, string>> = {
  '\\': '\\e',
  '-': '\\-',
  "'": '\\(aq',
  '`': '\\(ga',
  '^': '\\(ha',
  '~': '\\(ti',
};

function escape(text: string): string {
  return text.replace(/[\\\-'`^~]/g, (character) => specialCharacters[character] ?? character);
}

/** A line that begins like a request is text. */
function protectedLine(line: string): string {
  return /^[.']/.test(line) ? `\\&${line}` : line;
}

function quotedArgument(text: string): string {
  return /[\s"]/.test(text) ? `"${text.replaceAll('"', '\\(dq')}"` : text;
}
