import { runInNewContext } from 'node:vm';
import type { Json } from '../../base/canonical.ts';
import { sameJson } from '../../config/json-values.ts';
import { memberAt } from '../../config/tests/codecs.ts';
import type { TextExpectation } from '../../config/tests/definition.ts';

/** Whether a step did what it was to do; `details` are lines for people, as the guest wrote them. */
export type StepOutcome =
  | { readonly ok: true }
  | { readonly ok: false; readonly message: string; readonly details?: readonly string[] };

export const done: StepOutcome = { ok: true };

export function notDone(message: string, details?: readonly string[]): StepOutcome {
  return { ok: false, message, ...(details === undefined ? {} : { details }) };
}

/** Longest time that a regular expression gets for one text, in milliseconds. */
const matchLimit = 2000;
const timedOut = 'ERR_SCRIPT_EXECUTION_TIMEOUT';

/**
 * Whether a text matches. The text comes from a guest, which must not be able to keep the host busy with one that
 * makes the expression try without end: undefined when it takes longer than two seconds.
 */
export function matches(expression: string, text: string): boolean | undefined {
  try {
    const found: unknown = runInNewContext(
      'new RegExp(expression, "mu").test(text)',
      { expression, text },
      { timeout: matchLimit },
    );
    return found === true;
  } catch (error) {
    // An error of another realm, so it is no instance of this one's Error.
    if (typeof error === 'object' && error !== null && 'code' in error && error.code === timedOut)
      return undefined;
    throw error;
  }
}

/** Lines of a text that a message shows. */
const shownLines = 20;

/** Judges a text. @param what the subject of the messages: `the standard output` */
export function judgeText(what: string, text: string, expected: TextExpectation): StepOutcome {
  const given = withoutEnd(text);
  if (expected.equals !== undefined && given !== withoutEnd(expected.equals)) {
    return notDone(`${what} is not what Equals= says`, [
      ...firstLines(given).map((line) => `- ${line}`),
      ...firstLines(withoutEnd(expected.equals)).map((line) => `+ ${line}`),
    ]);
  }
  if (expected.matches !== undefined) {
    const found = matches(expected.matches, given);
    if (found === undefined) return notDone(`${what} keeps Matches=${expected.matches} busy for too long`);
    if (!found) return notDone(`${what} does not match ${expected.matches}`, firstLines(given));
  }
  return expected.json.length === 0 ? done : judgeJson(what, given, expected.json);
}

function judgeJson(what: string, text: string, expected: TextExpectation['json']): StepOutcome {
  let document: Json;
  try {
    document = JSON.parse(text) as Json;
  } catch {
    return notDone(`${what} is no JSON`, firstLines(text));
  }
  for (const { path, keys, value } of expected) {
    const found = memberAt(document, keys);
    if (found === undefined) return notDone(`${what} has nothing at ${path}`, firstLines(text));
    if (!sameJson(found, value))
      return notDone(`${path} is not what Json= says`, [`- ${shownJson(found)}`, `+ ${shownJson(value)}`]);
  }
  return done;
}

function shownJson(value: Json): string {
  return JSON.stringify(value).slice(0, 1000);
}

function withoutEnd(text: string): string {
  return text.replace(/\n+$/, '');
}

/** Lines for a message. */
export function firstLines(text: string): readonly string[] {
  if (text === '') return [];
  const lines = text.split('\n');
  return lines.length <= shownLines
    ? lines
    : [...lines.slice(0, shownLines), `… ${lines.length - shownLines} more`];
}
