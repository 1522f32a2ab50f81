import type { Replacement, TracedText } from '../traced-text.ts';
import { replace, slice } from '../traced-text.ts';

/**
 * Splits text into words as a POSIX shell does: white space separates, single quotes keep everything, double quotes keep
 * all but `\"` and `\\`, a backslash keeps the next character. undefined when a quote is not closed.
 */
export function splitWords(text: TracedText): TracedText[] | undefined {
  const words: TracedText[] = [];
  let at = 0;
  while (at < text.text.length) {
    if (/\s/.test(text.text.charAt(at))) {
      at++;
      continue;
    }
    const word = readWord(text.text, at);
    if (word === undefined) return undefined;
    const drops = word.drops.map((part) => ({ ...part, start: part.start - at, end: part.end - at }));
    words.push(replace(slice(text, at, word.end), drops));
    at = word.end;
  }
  return words;
}

interface Word {
  readonly end: number;
  /** Quotes and backslashes that are not part of the word. */
  readonly drops: readonly Replacement[];
}

function readWord(text: string, start: number): Word | undefined {
  const drops: Replacement[] = [];
  const drop = (at: number): void => void drops.push({ start: at, end: at + 1, text: '' });
  let quote: string | undefined;
  let at = start;
  for (; at < text.length; at++) {
    const character = text.charAt(at);
    if (quote === undefined && /\s/.test(character)) break;
    if (character === quote) {
      quote = undefined;
      drop(at);
    } else if (quote === undefined && (character === '"' || character === "'")) {
      quote = character;
      drop(at);
    } else if (character === '\\' && at + 1 < text.length && isEscape(quote, text.charAt(at + 1))) {
      drop(at);
      at++;
    }
  }
  return quote === undefined ? { end: at, drops } : undefined;
}

function isEscape(quote: string | undefined, next: string): boolean {
  return quote === undefined || (quote === '"' && (next === '"' || next === '\\'));
}

/** Quotes a word where this is needed, so that splitWords() gives it back. */
export function quoteWord(word: string): string {
  return /^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** One item of a list. */
export interface ListItem {
  readonly text: TracedText;
  /** It was written in quotes: nothing in it has a special meaning. */
  readonly quoted: boolean;
}

/**
 * Splits a list. An item that is written `"..."` or `'...'` as a whole can hold separators; `\"` and `\\` stand for
 * themselves in double quotes. Quotes elsewhere are part of the item. undefined when a quote is not closed.
 */
export function splitList(text: TracedText, separator: RegExp): readonly ListItem[] | undefined {
  const items: ListItem[] = [];
  let at = 0;
  while (at < text.text.length) {
    if (separator.test(text.text.charAt(at))) {
      at++;
      continue;
    }
    const end = closingQuote(text.text, at);
    if (end === undefined) return undefined;
    if (end > at && (end + 1 === text.text.length || separator.test(text.text.charAt(end + 1)))) {
      items.push({ text: unescaped(slice(text, at + 1, end), text.text.charAt(at)), quoted: true });
      at = end + 1;
      continue;
    }
    const start = at;
    while (at < text.text.length && !separator.test(text.text.charAt(at))) at++;
    items.push({ text: slice(text, start, at), quoted: false });
  }
  return items;
}

/** Where the quote that opens at `start` closes; `start` if none opens there; undefined if it is not closed. */
function closingQuote(text: string, start: number): number | undefined {
  const quote = text.charAt(start);
  if (quote !== '"' && quote !== "'") return start;
  for (let at = start + 1; at < text.length; at++) {
    if (text.charAt(at) === quote) return at;
    if (quote === '"' && text.charAt(at) === '\\' && isEscape(quote, text.charAt(at + 1))) at++;
  }
  return undefined;
}

function unescaped(text: TracedText, quote: string): TracedText {
  if (quote !== '"') return text;
  const drops = [...text.text.matchAll(/\\(?=["\\])./gs)].map(({ index }) => ({
    start: index,
    end: index + 1,
    text: '',
  }));
  return replace(text, drops);
}

/** Quotes an item where this is needed, so that splitList() gives it back. */
export function quoteItem(item: string, separator: RegExp): string {
  const plain = item !== '' && !/^["'!]/.test(item) && !separator.test(item);
  return plain ? item : `"${item.replace(/["\\]/g, '\\$&')}"`;
}

/**
 * Splits arguments of the kernel at blanks. As the kernel does, text between double quotes stays together; the quotes stay
 * too, because it is the kernel that takes them away. A quote that is not closed is a character like others.
 */
export function splitKernelArguments(text: TracedText): readonly TracedText[] {
  const parts: TracedText[] = [];
  const last = text.text.lastIndexOf('"');
  let start: number | undefined;
  let open = false;
  for (let at = 0; at < text.text.length; at++) {
    const character = text.text.charAt(at);
    if (character === '"') open = !open && at < last;
    if (open || !/\s/.test(character)) {
      start ??= at;
    } else if (start !== undefined) {
      parts.push(slice(text, start, at));
      start = undefined;
    }
  }
  if (start !== undefined) parts.push(slice(text, start));
  return parts;
}
