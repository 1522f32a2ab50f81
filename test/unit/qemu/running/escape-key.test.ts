import { expect, it } from 'vitest';
import { EscapeKey } from '../../../../src/qemu/running/escape-key.ts';

const key = '\u001d';

/** At which of the key strokes, each with the time in milliseconds, the escape is complete. */
function pressedAt(strokes: readonly (readonly [keys: string, at: number])[]): number {
  const escape = new EscapeKey();
  return strokes.findIndex(([keys, at]) => escape.isPressed(Buffer.from(keys), at));
}

it.each<[string, [string, number][], number]>([
  ['three within a second', [[key, 0], [key, 400], [key, 1000]], 2], // prettier-ignore
  ['three at once', [[key.repeat(3), 5]], 0],
  ['two', [[key, 0], [key, 1]], -1], // prettier-ignore
  ['three that are slower', [[key, 0], [key, 600], [key, 1001]], -1], // prettier-ignore
  ['the last three of four', [[key, 0], [key, 900], [key, 1100], [key, 1200]], 3], // prettier-ignore
  ['with another key between', [[key + key, 0], [`x${key}`, 1]], -1], // prettier-ignore
])('%s', (_, strokes, at) => {
  expect(pressedAt(strokes)).toBe(at);
});
