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
