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

/** One character of a configuration file. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Text out of a configuration file; `places` has one entry for each UTF-16 unit, `fallback` serves empty text. */
export function tracedFile(
  text: string,
  source: { readonly file: HostPath; readonly places: readonly Place[]; readonly fallback: Span },
): TracedText {
  const { file, places, fallback } = source;
  return {
    text,
    origin: (start = 0, end = text.length) => {
      const first = places[Math.min(start, places.length - 1)];
      if (first === undefined) return { kind: 'file', span: fallback };
      let last = first;
      for (const place of places.slice(start, Math.max(end, start + 1))) {
        if (place.line !== first.line) break;
        last = place;
      }
      const length = Math.max(1, last.column - first.column + 1);
      return { kind: 'file', span: { file, line: first.line, column: first.column, length } };
    },
  };
}

/** A part of a text, with its own origins. */
export function slice(whole: TracedText, start: number, end = whole.text.length): TracedText {
  const text = whole.text.slice(start, end);
  return { text, origin: (from = 0, to = text.length) => whole.origin(start + from, start + to) };
}

/** A text with some parts replaced; a place in a replacement points at the part it stands for. `parts` are in order. */
export function replace(whole: TracedText, parts: readonly Replacement[]): TracedText {
  if (parts.length === 0) return whole;
  let text = '';
  let done = 0;
  const starts: number[] = [];
  const ends: number[] = [];
  const copy = (until: number): void => {
    for (let at = done; at < until; at++) {
      starts.push(at);
      ends.push(at + 1);
    }
    text += whole.text.slice(done, until);
  };
  for (const part of parts) {
    copy(part.start);
    text += part.text;
    for (let count = 0; count < part.text.length; count++) {
      starts.push(part.start);
      ends.push(part.end);
    }
    done = part.end;
  }
  copy(whole.text.length);
  return {
    text,
    origin: (from = 0, to = text.length) =>
      whole.origin(starts[from] ?? done, ends[to - 1] ?? whole.text.length),
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
