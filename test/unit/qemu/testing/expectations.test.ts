import { describe, expect, it } from 'vitest';
import type { Json } from '../../../../src/base/canonical.ts';
import type { TextExpectation } from '../../../../src/config/tests/definition.ts';
import { firstLines, judgeText, matches } from '../../../../src/qemu/testing/expectations.ts';

const judge = (text: string, expected: Partial<TextExpectation>): string => {
  const outcome = judgeText('the output', text, { json: [], ...expected });
  return outcome.ok ? 'ok' : outcome.message;
};

describe('a text', () => {
  it('equals another but for newlines at its end', () => {
    expect(judge('a\n\nb', { equals: 'a\n\nb\n' })).toBe('ok');
    expect(judge('a \n', { equals: 'a' })).toBe('the output is not what Equals= says');
    expect(judge('', {})).toBe('ok');
  });

  it('says what it is instead', () => {
    const outcome = judgeText('the output', 'one\ntwo', { equals: 'one\n2', json: [] });
    expect(outcome).toMatchObject({ details: ['- one', '- two', '+ one', '+ 2'] });
  });

  it('matches line by line', () => {
    expect(judge('a\nID=debian\nb', { matches: '^ID=debian$' })).toBe('ok');
    expect(judge('XID=debian', { matches: '^ID=debian$' })).toBe('the output does not match ^ID=debian$');
    expect(judge('ü', { matches: '^.$' })).toBe('ok');
  });

  it('has members where it is JSON', () => {
    const json = (
      keys: readonly (string | number)[],
      value: null | string | number | object,
    ): Partial<TextExpectation> => ({
      json: [{ path: '$', keys, value: JSON.parse(JSON.stringify(value)) as Json }],
    });
    expect(judge('{"a":[{"b":1,"c":null}]}', json(['a', 0], { c: null, b: 1 }))).toBe('ok');
    expect(judge('{"a":[1,2]}', json(['a'], [2, 1]))).toBe('$ is not what Json= says');
    expect(judge('{"a":"1"}', json(['a'], 1))).toBe('$ is not what Json= says');
    expect(judge('{}', json(['a'], null))).toBe('the output has nothing at $');
    expect(judge('{"a":', json(['a'], 1))).toBe('the output is no JSON');
  });
});

describe('a regular expression', () => {
  it('cannot be kept busy by a guest', () => {
    const begun = performance.now();
    expect(matches('^(a+)+$', `${'a'.repeat(60)}!`)).toBeUndefined();
    expect(performance.now() - begun).toBeLessThan(20_000);
    expect(judge(`${'a'.repeat(60)}!`, { matches: '^(a+)+$' })).toMatch(/busy/);
  });

  it('is text to the engine, whatever is in it', () => {
    expect(matches('x', 'x')).toBe(true);
    expect(matches('`\\$\\{1\\}"', '`${1}"')).toBe(true);
  });
});

it('a message shows the first lines', () => {
  expect(firstLines('')).toEqual([]);
  expect(firstLines(Array.from({ length: 30 }, () => 'x').join('\n'))).toHaveLength(21);
});
