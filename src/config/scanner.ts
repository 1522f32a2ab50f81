import type { HostPath } from '../base/brand.ts';
import type { Diagnostic, Origin, Span } from '../base/diagnostic.ts';
import type { Place, TracedText } from './traced-text.ts';
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
 */
export function scan(path: HostPath, content: string): ScannedFile {
  const sections: OpenSection[] = [];
  const faults: Diagnostic[] = [];
  const lines = content.split(/\r?\n/).map(withoutByteOrderMark);
  const indentation = commonIndentation(lines);
  let assignment: OpenAssignment | undefined;
  lines.forEach((text, index) => {
    const line: Line = { path, number: index + 1, text, start: Math.min(indentation, text.length) };
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
  readonly places: readonly Place[];
}

interface OpenAssignment {
  readonly key: string;
  readonly keySpan: Span;
  readonly fallback: Span;
  text: string;
  readonly places: Place[];
}

interface OpenSection {
  readonly name: string;
  readonly span: Span;
  readonly assignments: OpenAssignment[];
}

function withoutByteOrderMark(text: string, index: number): string {
  // A blank in its place keeps the columns right.
  return index === 0 && text.startsWith('\uFEFF') ? ` ${text.slice(1)}` : text;
}

function commonIndentation(lines: readonly string[]): number {
  const widths = lines
    .filter((line) => line.trim() !== '')
    .map((line) => line.length - line.trimStart().length);
  const width = widths.length === 0 ? 0 : Math.min(...widths);
  const first = lines.find((line) => line.trim() !== '')?.slice(0, width);
  return lines.every((line) => line.trim() === '' || line.startsWith(first ?? '')) ? width : 0;
}

/** The line from `from` on without its comment, escapes resolved, trimmed. */
function codePart(line: Line, from: number): Code {
  const characters: { readonly text: string; readonly column: number }[] = [];
  let quote: string | undefined;
  for (let at = from; at < line.text.length; at++) {
    const character = line.text.charAt(at);
    const previous = at === from ? ' ' : line.text.charAt(at - 1);
    if (quote === undefined && character === '#' && /\s/.test(previous)) break;
    if (quote === undefined && character === '\\' && line.text.charAt(at + 1) === '#') {
      at++;
      characters.push({ text: '#', column: at + 1 });
      continue;
    }
    if (character === quote) quote = undefined;
    else if (quote === undefined && opensQuote(line.text, at, previous)) quote = character;
    characters.push({ text: character, column: at + 1 });
  }
  return trimmed(line, characters);
}

/** A quote counts where a word or a value begins and if it is closed on the same line: `don't # do` has a comment. */
function opensQuote(text: string, at: number, previous: string): boolean {
  const character = text.charAt(at);
  return (
    (character === '"' || character === "'") && /[\s=,:]/.test(previous) && text.includes(character, at + 1)
  );
}

function trimmed(line: Line, characters: readonly { text: string; column: number }[]): Code {
  const text = characters.map((character) => character.text).join('');
  const start = text.length - text.trimStart().length;
  const end = Math.max(start, text.trimEnd().length);
  return {
    text: text.slice(start, end),
    places: characters.slice(start, end).map(({ column }) => ({ line: line.number, column })),
  };
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
    return { key: '', keySpan, fallback: keySpan, text: '', places: [] };
  }
  const keySpan = spanOf(line, { text: key, places: code.places.slice(0, key.length) });
  const equalsColumn = code.places[equals]?.column ?? keySpan.column;
  const value = codePart(line, equalsColumn);
  return {
    key,
    keySpan,
    fallback: { ...keySpan, length: equalsColumn - keySpan.column + 1 },
    text: value.text,
    places: [...value.places],
  };
}

function append(assignment: OpenAssignment, code: Code): void {
  const [first] = code.places;
  if (first === undefined) return;
  assignment.text += `\n${code.text}`;
  assignment.places.push(first, ...code.places);
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
  const first = code.places[0]?.column ?? 1;
  const last = code.places.at(-1)?.column ?? first;
  return { file: line.path, line: line.number, column: first, length: Math.max(1, last - first + 1) };
}

function closeSection(file: HostPath, section: OpenSection): ScannedSection {
  return {
    name: section.name,
    origin: { kind: 'file', span: section.span },
    assignments: section.assignments.map(({ key, keySpan, fallback, text, places }) => ({
      key,
      keyOrigin: { kind: 'file', span: keySpan },
      value: tracedFile(text, { file, places, fallback }),
    })),
  };
}
