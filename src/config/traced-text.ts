import type { HostPath } from '../base/brand.ts';
import type { Origin, Span } from '../base/diagnostic.ts';

/** Text that knows, for each of its characters, where the user wrote it. Offsets count UTF-16 units. */
export interface TracedText {
  readonly text: string;
  /** Where the part from `start` up to `end` came from; the whole text by default. */
  origin(start?: number, end?: number): Origin;
}

/** A part that stands for something else: a specifier, an escape. */
export interface Replacement {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Text that came as a whole: from a flag, or from a file whose lines do not matter. */
export function tracedWhole(text: string, origin: Origin): TracedText {
  return { text, origin: () => origin };
}

/** Characters that stand one behind the other on a line: from `start` of a text on, up to the next run. */
export interface Run {
  readonly start: number;
  readonly line: number;
  /** Of the first one. */
  readonly column: number;
}

/** Text out of a configuration file; `runs` cover it in order, `fallback` serves empty text. */
export function tracedFile(
  text: string,
  source: { readonly file: HostPath; readonly runs: readonly Run[]; readonly fallback: Span },
): TracedText {
  const { file, runs, fallback } = source;
  return {
    text,
    origin: (start = 0, end = text.length) => {
      const from = Math.min(start, text.length - 1);
      const index = lastStart(runs, from);
      const first = runs[index];
      if (first === undefined) return { kind: 'file', span: fallback };
      const column = first.column + from - first.start;
      const { last, until } = endOfLine(runs, index, Math.max(end, from + 1));
      const length = Math.max(1, last.column + until - last.start - column);
      return { kind: 'file', span: { file, line: first.line, column, length } };
    },
  };
}

/** Index of the last of some pieces in order that starts at or before an offset; -1 if none does. */
function lastStart(pieces: readonly { readonly start: number }[], offset: number): number {
  let [low, high] = [0, pieces.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((pieces[middle]?.start ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The last run on the line of a run that begins before `end`, and where its part before `end` ends. */
function endOfLine(
  runs: readonly Run[],
  index: number,
  end: number,
): { readonly last: Run; readonly until: number } {
  let last = runs[index] as Run;
  for (let next = index + 1; ; next++) {
    const run = runs[next];
    if (run === undefined || run.start >= end) return { last, until: end };
    if (run.line !== last.line) return { last, until: run.start };
    last = run;
  }
}

/** A part of a text, with its own origins. */
export function slice(whole: TracedText, start: number, end = whole.text.length): TracedText {
  const text = whole.text.slice(start, end);
  return { text, origin: (from = 0, to = text.length) => whole.origin(start + from, start + to) };
}

/** A stretch of a text with replacements: copied from the whole, or standing for a part of it. */
interface Piece {
  readonly start: number;
  readonly from: number;
  readonly to: number;
  readonly copied: boolean;
}

/** A text with some parts replaced; a place in a replacement points at the part it stands for. `parts` are in order. */
export function replace(whole: TracedText, parts: readonly Replacement[]): TracedText {
  if (parts.length === 0) return whole;
  const texts: string[] = [];
  const pieces: Piece[] = [];
  let length = 0;
  const add = (text: string, piece: Omit<Piece, 'start'>): void => {
    if (text === '') return;
    pieces.push({ start: length, ...piece });
    texts.push(text);
    length += text.length;
  };
  let done = 0;
  for (const { start, end, text } of parts) {
    add(whole.text.slice(done, start), { from: done, to: start, copied: true });
    add(text, { from: start, to: end, copied: false });
    done = end;
  }
  add(whole.text.slice(done), { from: done, to: whole.text.length, copied: true });
  const pieceAt = (offset: number): Piece | undefined => pieces[lastStart(pieces, offset)];
  return {
    text: texts.join(''),
    origin: (from = 0, to = length) => {
      const [first, last] = [pieceAt(from), pieceAt(to - 1)];
      const start = first === undefined ? done : first.copied ? first.from + from - first.start : first.from;
      const end =
        last === undefined ? whole.text.length : last.copied ? last.from + to - last.start : last.to;
      return whole.origin(start, end);
    },
  };
}

/** The text without white space at its ends. */
export function trim(whole: TracedText): TracedText {
  const start = whole.text.length - whole.text.trimStart().length;
  return slice(whole, start, Math.max(start, whole.text.trimEnd().length));
}

/** The parts between matches of a separator, without empty ones. `separator` must have the flag `g`. */
export function split(whole: TracedText, separator: RegExp): TracedText[] {
  const parts: TracedText[] = [];
  let start = 0;
  for (const match of whole.text.matchAll(separator)) {
    if (match.index > start) parts.push(slice(whole, start, match.index));
    start = match.index + match[0].length;
  }
  if (start < whole.text.length) parts.push(slice(whole, start));
  return parts;
}
