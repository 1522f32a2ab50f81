import type { HostPath } from '../base/brand.ts';
import type { Diagnostic, Origin, Span } from '../base/diagnostic.ts';
import type { Run, TracedText } from './traced-text.ts';
import { tracedFile } from './traced-text.ts';

/** `Key=value`, with continuation lines joined by newlines and comments left out. */
export interface ScannedAssignment {
  readonly key: string;
  readonly keyOrigin: Origin;
  readonly value: TracedText;
}

export interface ScannedSection {
  readonly name: string;
  readonly origin: Origin;
  readonly assignments: readonly ScannedAssignment[];
}

export interface ScannedFile {
  readonly path: HostPath;
  /** In the order of the file; a section that is opened twice stands here twice. */
  readonly sections: readonly ScannedSection[];
  readonly faults: readonly Diagnostic[];
}

/**
 * Reads the dialect that mkosi's configuration files are written in:
 * - a section header stands alone on a line that is not indented;
 * - `Key=value`, white space around both is dropped; keys and sections may come again;
 * - an indented line continues the value above it, also when it begins with `[`; blank lines and comments between are
 *   skipped. Indentation that all lines of a file have in common does not count;
 * - `#` starts a comment at the beginning of a line or value and after white space, but not within quotes; `\#` is `#`.
 *
 * Lines that are no text, or far too long, are faults and are left out. The time is linear in the length.
 */
export function scan(path: HostPath, content: string): ScannedFile {
  const sections: OpenSection[] = [];
  const faults: Diagnostic[] = [...fileFaults(path, content)];
  const lines = content.split(/\r?\n/).map(withoutByteOrderMark);
  const indentation = commonIndentation(lines);
  let assignment: OpenAssignment | undefined;
  lines.forEach((text, index) => {
    const line: Line = { path, number: index + 1, text, start: Math.min(indentation, text.length) };
    if (!isText(line, faults)) return;
    const code = codePart(line, line.start);
    if (code.text === '') return;
    if (assignment !== undefined && /\s/.test(line.text.charAt(line.start))) {
      append(assignment, code);
      return;
    }
    assignment = undefined;
    if (code.text.startsWith('[')) {
      sections.push(sectionHeader(line, code, faults));
      return;
    }
    assignment = openAssignment(line, code, faults);
    const section = sections.at(-1);
    if (assignment.key === '') return;
    if (section === undefined) faults.push(outsideSection(assignment));
    else section.assignments.push(assignment);
  });
  return { path, faults, sections: sections.map((section) => closeSection(path, section)) };
}

/** What is odd about a file as a whole and does not change its meaning. */
function fileFaults(file: HostPath, content: string): readonly Diagnostic[] {
  const faults: Diagnostic[] = [];
  if (content.startsWith(byteOrderMark)) {
    const span = { file, line: 1, column: 1, length: 1 };
    faults.push(oddity('byte-order-mark', 'the file begins with a byte order mark', span));
  }
  const end = content.indexOf('\r\n');
  if (end >= 0) {
    const before = content.slice(0, end).split('\n');
    const column = (before.at(-1)?.length ?? 0) + 1;
    const span = { file, line: before.length, column, length: 1 };
    faults.push(oddity('dos-line-ends', 'lines end with a carriage return', span));
  }
  return faults;
}

function oddity(code: string, message: string, span: Span): Diagnostic {
  const hint = 'Save the file as UTF-8 with the line ends of Unix.';
  return { severity: 'warning', code, message, origin: { kind: 'file', span }, hint };
}

/** No line that a person wrote is longer. */
const longestLine = 2 ** 20;

/** Each line with a fault is named, up to this many of a kind. */
const namedFaults = 10;

/** Whether a line can be read; notes the fault if not. */
function isText(line: Line, faults: Diagnostic[]): boolean {
  const { text } = line;
  if (text.length > longestLine) {
    const hint = `No line may have more than ${longestLine} characters.`;
    return refuse('long-line', `the line has ${text.length} characters`, { at: 0, hint });
  }
  const nul = text.indexOf('\0');
  if (nul >= 0) return refuse('nul-byte', 'the line has a NUL byte', { at: nul, hint: 'Remove it.' });
  const broken = text.indexOf('\uFFFD');
  if (broken < 0) return true;
  const hint = 'Save the file as UTF-8.';
  return refuse('bad-encoding', 'the line has bytes that are not UTF-8', { at: broken, hint });

  function refuse(
    code: string,
    message: string,
    where: { readonly at: number; readonly hint: string },
  ): false {
    if (faults.filter((fault) => fault.code === code).length < namedFaults) {
      const span = { file: line.path, line: line.number, column: where.at + 1, length: 1 };
      faults.push({ severity: 'error', code, message, origin: { kind: 'file', span }, hint: where.hint });
    }
    return false;
  }
}

interface Line {
  readonly path: HostPath;
  readonly number: number;
  readonly text: string;
  /** Index of the first character that is not common indentation. */
  readonly start: number;
}

/** The meaningful text of a line, with the columns its characters stand in. */
interface Code {
  readonly text: string;
  readonly runs: readonly Run[];
}

interface OpenAssignment {
  readonly key: string;
  readonly keySpan: Span;
  readonly fallback: Span;
  readonly texts: string[];
  readonly runs: Run[];
  length: number;
}

interface OpenSection {
  readonly name: string;
  readonly span: Span;
  readonly assignments: OpenAssignment[];
}

const byteOrderMark = '\uFEFF';

function withoutByteOrderMark(text: string, index: number): string {
  // A blank in its place keeps the columns right.
  return index === 0 && text.startsWith(byteOrderMark) ? ` ${text.slice(1)}` : text;
}

/** Length of the white space that all lines with something on them begin with. */
function commonIndentation(lines: readonly string[]): number {
  let common: string | undefined;
  for (const [index, line] of lines.entries()) {
    if (common === '') break;
    const width = line.length - line.trimStart().length;
    if (width === line.length) continue;
    // The blank that stands for a byte order mark is no indentation.
    const own = line.slice(0, index === 0 && width === 1 ? 0 : width);
    common = common === undefined ? own : commonPrefix(common, own);
  }
  return common?.length ?? 0;
}

function commonPrefix(left: string, right: string): string {
  let length = 0;
  while (length < left.length && left.charAt(length) === right.charAt(length)) length++;
  return left.slice(0, length);
}

/** The line from `from` on without its comment, escapes resolved, trimmed. */
function codePart(line: Line, from: number): Code {
  const texts: string[] = [];
  const runs: Run[] = [];
  let length = 0;
  let begin = from;
  const take = (until: number): void => {
    if (until <= begin) return;
    runs.push({ start: length, line: line.number, column: begin + 1 });
    texts.push(line.text.slice(begin, until));
    length += until - begin;
  };
  let quote: string | undefined;
  let at = from;
  for (; at < line.text.length; at++) {
    const character = line.text.charAt(at);
    const previous = at === from ? ' ' : line.text.charAt(at - 1);
    if (quote === undefined && character === '#' && /\s/.test(previous)) break;
    if (quote === undefined && character === '\\' && line.text.charAt(at + 1) === '#') {
      take(at);
      begin = ++at;
    } else if (character === quote) {
      quote = undefined;
    } else if (quote === undefined && opensQuote(line.text, at, previous)) {
      quote = character;
    }
  }
  take(at);
  return trimmed({ text: texts.join(''), runs });
}

/** A quote counts where a word or a value begins and if it is closed on the same line: `don't # do` has a comment. */
function opensQuote(text: string, at: number, previous: string): boolean {
  const character = text.charAt(at);
  return (
    (character === '"' || character === "'") && /[\s=,:]/.test(previous) && text.includes(character, at + 1)
  );
}

function trimmed({ text, runs }: Code): Code {
  const start = text.length - text.trimStart().length;
  const end = Math.max(start, text.trimEnd().length);
  return { text: text.slice(start, end), runs: cut(runs, start, end) };
}

/** The runs of a part of a text. */
function cut(runs: readonly Run[], from: number, to: number): readonly Run[] {
  const part: Run[] = [];
  for (const [index, { start, line, column }] of runs.entries()) {
    const end = runs[index + 1]?.start ?? Infinity;
    if (end <= from || start >= to) continue;
    const skipped = Math.max(0, from - start);
    part.push({ start: start + skipped - from, line, column: column + skipped });
  }
  return part;
}

/** The column of a character of a line. */
function columnAt({ runs }: Code, offset: number): number {
  const run = runs.findLast(({ start }) => start <= offset);
  return run === undefined ? 1 : run.column + offset - run.start;
}

function sectionHeader(line: Line, code: Code, faults: Diagnostic[]): OpenSection {
  const name = /^\[([^[\]]+)\]$/.exec(code.text)?.[1]?.trim();
  const span = spanOf(line, code);
  if (name === undefined || name === '') {
    faults.push({
      severity: 'error',
      code: 'bad-section-header',
      message: `'${code.text}' is not a section header`,
      origin: { kind: 'file', span },
      hint: 'Write [Name] alone on its line.',
    });
  }
  // Also a broken header opens a section: its settings must not be taken for those of the section before.
  return { name: name ?? '', span, assignments: [] };
}

/** The key is empty where the line is faulty: the lines that continue it then need no fault of their own. */
function openAssignment(line: Line, code: Code, faults: Diagnostic[]): OpenAssignment {
  const equals = code.text.indexOf('=');
  const key = code.text.slice(0, Math.max(0, equals)).trimEnd();
  if (equals < 0 || key === '') {
    faults.push({
      severity: 'error',
      code: 'missing-equals',
      message: equals < 0 ? `'${code.text}' has no '='` : `the name of a setting is missing before '='`,
      origin: { kind: 'file', span: spanOf(line, code) },
      hint: 'Write Setting=value; indent lines that continue the value above.',
    });
    const keySpan = spanOf(line, code);
    return { key: '', keySpan, fallback: keySpan, texts: [], runs: [], length: 0 };
  }
  const keySpan = spanOf(line, { text: key, runs: code.runs });
  const equalsColumn = columnAt(code, equals);
  const value = codePart(line, equalsColumn);
  return {
    key,
    keySpan,
    fallback: { ...keySpan, length: equalsColumn - keySpan.column + 1 },
    texts: [value.text],
    runs: [...value.runs],
    length: value.text.length,
  };
}

function append(assignment: OpenAssignment, { text, runs }: Code): void {
  const [first] = runs;
  if (first === undefined) return;
  const { length } = assignment;
  // The line end counts as the character before the line: it is indented, so there is one.
  assignment.runs.push(
    { start: length, line: first.line, column: first.column - 1 },
    ...runs.map((run) => ({ ...run, start: length + 1 + run.start })),
  );
  assignment.texts.push(text);
  assignment.length += 1 + text.length;
}

function outsideSection(assignment: OpenAssignment): Diagnostic {
  return {
    severity: 'error',
    code: 'outside-section',
    message: `${assignment.key}= stands outside of a section`,
    origin: { kind: 'file', span: assignment.keySpan },
    hint: 'Put a section header such as [Content] above it.',
  };
}

function spanOf(line: Line, code: Code): Span {
  const first = columnAt(code, 0);
  const last = columnAt(code, Math.max(0, code.text.length - 1));
  return { file: line.path, line: line.number, column: first, length: Math.max(1, last - first + 1) };
}

function closeSection(file: HostPath, section: OpenSection): ScannedSection {
  return {
    name: section.name,
    origin: { kind: 'file', span: section.span },
    assignments: section.assignments.map(({ key, keySpan, fallback, texts, runs }) => ({
      key,
      keyOrigin: { kind: 'file', span: keySpan },
      value: tracedFile(texts.join('\n'), { file, runs, fallback }),
    })),
  };
}
