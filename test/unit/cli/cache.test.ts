import { describe, expect, test } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import { parseAction, parseAge } from '../../../src/cli/cache.ts';
import { belongsTo } from '../../../src/cli/clean.ts';

const day = 24 * 60 * 60 * 1000;

function action(words: readonly string[], extra: Readonly<Record<string, string>> = {}): unknown {
  const options = { directory: hostPath('/'), force: 0, json: false, debug: false, extra };
  const result = parseAction({ words, options });
  return result.ok ? result.value : result.diagnostics.map(({ code, message }) => `${code}: ${message}`);
}

describe('what `mkimg cache` is asked to do', () => {
  test.each([
    [[], {}, { kind: 'list' }],
    [['verify'], {}, { kind: 'verify' }],
    [['prune'], {}, { kind: 'prune', limits: { olderThan: 30 * day } }],
    [['prune'], { 'older-than': '2w' }, { kind: 'prune', limits: { olderThan: 14 * day, all: false } }],
    [['prune'], { 'max-size': '10G' }, { kind: 'prune', limits: { maximumBytes: 10 * 2 ** 30, all: false } }],
    [['prune'], { all: 'true' }, { kind: 'prune', limits: { all: true } }],
    [['trim'], {}, ["bad-usage: 'cache trim' does not exist"]],
    [['prune', 'now'], {}, ["bad-usage: 'now' is too much"]],
    [
      ['prune'],
      { 'older-than': 'x', 'max-size': 'y' },
      ["bad-value: 'x' is not an age", "bad-value: 'y' is not a size"],
    ],
  ] as const)('%j %j', (words, extra, wanted) => {
    expect(action(words, extra)).toEqual(wanted);
  });
});

test.each([
  ['90m', 90 * 60_000],
  ['12h', day / 2],
  ['30d', 30 * day],
  ['2w', 14 * day],
  ['30', undefined],
  ['-1d', undefined],
  ['1.5d', undefined],
])('parseAge(%s)', (text, milliseconds) => {
  expect(parseAge(text)).toBe(milliseconds);
});

test('outputs belong to the image whose name they begin with', () => {
  expect(
    ['debian', 'debian.raw', 'debian.SHA256SUMS', 'debian2.raw', 'image'].filter((name) =>
      belongsTo(name, 'debian'),
    ),
  ).toEqual(['debian', 'debian.raw', 'debian.SHA256SUMS']);
});
