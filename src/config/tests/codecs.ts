import type { Json } from '../../base/canonical.ts';
import { isObject } from '../../base/canonical.ts';
import type { Result } from '../../base/diagnostic.ts';
import { ok } from '../../base/diagnostic.ts';
import { closest } from '../../base/suggestion.ts';
import type { Codec } from '../codec.ts';
import { badValue, scalar } from '../codec.ts';
import { listOf } from '../codecs/collections.ts';
import type { TracedText } from '../traced-text.ts';
import { slice, trim } from '../traced-text.ts';

const unitSeconds: Readonly<Record<string, number>> = { '': 1, s: 1, ms: 0.001, min: 60, m: 60, h: 3600 };

/** Seconds from text such as `90`, `5min`, `1h 30min`; undefined when it is no span, or none at all. */
export function secondsOf(text: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?\s*(?:ms|s|min|m|h)?\s*)+$/.test(text)) return undefined;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)\s*(ms|s|min|m|h)?/g)];
  const total = parts.reduce(
    (sum, [, count, unit = '']) => sum + Number(count) * (unitSeconds[unit] ?? 0),
    0,
  );
  return total > 0 && total <= 86_400 ? total : undefined;
}

/** A span of time, in seconds. */
export const timeSpan = scalar<number>({
  kind: 'time span',
  schema: { type: 'number', exclusiveMinimum: 0, maximum: 86_400 },
  parse: (value) => {
    const seconds = secondsOf(value.text);
    return seconds === undefined
      ? badValue(value, `'${value.text}' is not a time span`, 'Write 90s or 5min; a day at most.')
      : ok(seconds);
  },
  show: (value) => `${value}s`,
  json: (value) => value,
});

/** A regular expression in the syntax of JavaScript; `^` and `$` stand for the ends of lines. */
export const expression = scalar<string>({
  kind: 'regular expression',
  schema: { type: 'string', format: 'regex' },
  parse: (value) => {
    try {
      new RegExp(value.text, 'mu');
      return ok(value.text);
    } catch (error) {
      const reason = error instanceof Error ? error.message.replace(/^.*: /, '') : '';
      return badValue(value, `'${value.text}' is not a regular expression: ${reason}`);
    }
  },
  show: (value) => value,
  json: (value) => value,
});

/** A member of a JSON document, and what it must be. */
export interface JsonExpectation {
  /** As written: `$.units[0].name`. */
  readonly path: string;
  readonly keys: readonly (string | number)[];
  readonly value: Json;
}

/**
 * `PATH=VALUE`: the path is a singular query of RFC 9535 (`$.a[0]['b c']`), the value JSON, or else text. One assignment
 * is one expectation.
 */
export const jsonExpectations: Codec<readonly JsonExpectation[], JsonExpectation> = {
  kind: 'PATH=VALUE',
  merge: 'append',
  schema: {
    type: 'array',
    items: {
      type: 'object',
      properties: { Path: { type: 'string' }, Value: {} },
      required: ['Path', 'Value'],
    },
  },
  parse: (text) => {
    const expectation = parseExpectation(text);
    return expectation.ok ? ok([{ value: expectation.value, origin: text.origin() }]) : expectation;
  },
  collect: (items) => items,
  items: (value) => value,
  show: (value) => value.map(({ path, value: wanted }) => `${path}=${JSON.stringify(wanted)}`).join('\n'),
  label: ({ path }) => path,
  json: (value) => value.map(({ path, value: wanted }) => ({ Path: path, Value: wanted })),
};

const segment =
  /\.([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]/y;

function parseExpectation(text: TracedText): Result<JsonExpectation> {
  const hint = "Write a path such as $.units[0]['name'], '=' and a value.";
  if (!text.text.startsWith('$')) return badValue(text, 'a path in JSON begins with $', hint);
  const keys: (string | number)[] = [];
  let at = 1;
  for (;;) {
    segment.lastIndex = at;
    const match = segment.exec(text.text);
    if (match === null) break;
    const [whole, name, index, single, double] = match;
    keys.push(index === undefined ? unescaped(name ?? single ?? double ?? '') : Number(index));
    at += whole.length;
  }
  const rest = trim(slice(text, at));
  if (!rest.text.startsWith('='))
    return badValue(slice(text, at), `'${text.text.slice(at)}' is no part of a path`, hint);
  return ok({ path: text.text.slice(0, at), keys, value: jsonOrText(trim(slice(rest, 1)).text) });
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, '$1');
}

function jsonOrText(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

/** What a path leads to; undefined when it leads nowhere. */
export function memberAt(document: Json, keys: readonly (string | number)[]): Json | undefined {
  let found: Json | undefined = document;
  for (const key of keys) {
    if (typeof key === 'number') found = Array.isArray(found) ? (found as readonly Json[])[key] : undefined;
    else found = isObject(found) && Object.hasOwn(found, key) ? found[key] : undefined;
    if (found === undefined) return undefined;
  }
  return found;
}

/** Keys that are pressed together, as QEMU calls them (QKeyCode). */
export type KeyChord = readonly string[];

const letters = Array.from('abcdefghijklmnopqrstuvwxyz0123456789');
const functionKeys = Array.from({ length: 12 }, (_, index) => `f${index + 1}`);
const namedKeys = [
  ...['shift', 'shift_r', 'alt', 'alt_r', 'ctrl', 'ctrl_r', 'meta_l', 'meta_r', 'menu', 'caps_lock'],
  ...['esc', 'tab', 'ret', 'spc', 'backspace', 'delete', 'insert', 'home', 'end', 'pgup', 'pgdn'],
  ...['up', 'down', 'left', 'right', 'print', 'sysrq', 'pause', 'num_lock', 'scroll_lock'],
  ...['minus', 'equal', 'bracket_left', 'bracket_right', 'semicolon', 'apostrophe', 'grave_accent'],
  ...['backslash', 'comma', 'dot', 'slash', 'less', 'asterisk', 'power'],
];
const keyNames: readonly string[] = [...letters, ...functionKeys, ...namedKeys];
const keyAliases: Readonly<Record<string, string>> = {
  enter: 'ret',
  space: 'spc',
  del: 'delete',
  escape: 'esc',
};

/** Keys one after the other; `-` joins those that are pressed together. */
export const keys = listOf<KeyChord>({
  kind: 'list of keys, such as ctrl-alt-delete',
  separator: /\s/,
  schema: { type: 'array', items: { type: 'string' } },
  parse: (part) => {
    const chord = part.text
      .split('-')
      .map((name) => (Object.hasOwn(keyAliases, name) ? keyAliases[name] : name) ?? '');
    const unknown = chord.find((name) => !keyNames.includes(name));
    if (unknown === undefined) return ok([chord]);
    const near = closest(unknown, keyNames);
    const hint =
      near === undefined ? "Keys have QEMU's names: a, f1, ctrl, ret, spc." : `Did you mean '${near}'?`;
    return badValue(part, `'${unknown}' is not a key`, hint);
  },
  show: (chord) => chord.join('-'),
  json: (chord) => chord,
});

/** Name of a file of results, without directories or anything that a terminal could take amiss. */
export const resultName = scalar<string>({
  kind: 'name of letters, digits and . _ -',
  schema: { type: 'string' },
  parse: (value) =>
    isResultName(value.text)
      ? ok(value.text)
      : badValue(value, `'${value.text}' is not a name for a file`, 'Use letters, digits and . _ -'),
  show: (value) => value,
  json: (value) => value,
});

/** A name that can stand for a file or directory of results. */
export function isResultName(text: string): boolean {
  return /^[A-Za-z0-9_][\w.+-]{0,99}$/.test(text);
}
