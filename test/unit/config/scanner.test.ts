import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import { scan } from '../../../src/config/scanner.ts';
import { processorMilliseconds } from '../../helpers/processor-time.ts';

const file = hostPath('/project/mkimg.conf');

/** Sections as `[name, key, value, ...]`, for short expectations. */
function values(text: string): readonly (readonly string[])[] {
  return scan(file, text).sections.map(({ name, assignments }) => [
    name,
    ...assignments.map(({ key, value }) => `${key}=${value.text}`),
  ]);
}

/** The faults of a text, each as one line. */
function told(text: string): readonly string[] {
  return scan(file, text).faults.map(({ severity, code, message, origin }) => {
    const place = origin?.kind === 'file' ? `${origin.span.line}:${origin.span.column}` : 'nowhere';
    return `${severity} ${code} at ${place}: ${message}`;
  });
}

describe('the scanner', () => {
  it('reads sections, keys and values, and keeps their order and repetitions', () => {
    expect(values('[A]\nX = 1 \nY=2\n[B]\n[A]\nX=3\n')).toEqual([['A', 'X=1', 'Y=2'], ['B'], ['A', 'X=3']]);
  });

  it('joins indented lines to the value above, blank lines and comments skipped', () => {
    const text = '[A]\nX=one\n   two\n\n   # no\n# no\n\tthree\nY=\n  four\n';
    expect(values(text)).toEqual([['A', 'X=one\ntwo\nthree', 'Y=\nfour']]);
  });

  it('takes an indented line that begins with a bracket for a value', () => {
    expect(values('[A]\nX=one\n  [two]\n')).toEqual([['A', 'X=one\n[two]']]);
  });

  it('leaves out indentation that all lines share', () => {
    expect(values('    [A]\n    X=1\n      2\n')).toEqual([['A', 'X=1\n2']]);
    expect(values('  [A]\n  X=1\n  \t2\n  Y=3\n')).toEqual([['A', 'X=1\n2', 'Y=3']]);
    expect(values(' \t[A]\n X=1\n')).toEqual([['A', 'X=1']]);
  });

  it.each([
    ['X=a # b', 'a'],
    ['X=a#b', 'a#b'],
    ['X=a ;b', 'a ;b'],
    ['X=# b', ''],
    ['X=a \\# b', 'a # b'],
    ['X=\\#ff0000', '#ff0000'],
    ['X="a # b" # c', '"a # b"'],
    ["X='a # b' c", "'a # b' c"],
    ["X=don't # b", "don't"],
    ['X="a # b', '"a'],
    ['X=K="a # b"', 'K="a # b"'],
  ])('finds the comment in %s', (line, value) => {
    expect(values(`[A]\n${line}\n`)).toEqual([['A', `X=${value}`]]);
  });

  it('reads files with carriage returns, a byte order mark, or no last newline, and remarks on it', () => {
    const text = '\uFEFF[A]\r\nX=1\r\n  2';
    expect(values(text)).toEqual([['A', 'X=1\n2']]);
    expect(told(text)).toEqual([
      'warning byte-order-mark at 1:1: the file begins with a byte order mark',
      'warning dos-line-ends at 1:5: lines end with a carriage return',
    ]);
    expect(told('[A]\n\n  \r\n')).toEqual(['warning dos-line-ends at 3:3: lines end with a carriage return']);
  });

  it('refuses lines that are no text, and reads the others', () => {
    const text = '[A]\nX=1\nY=a\0b\nZ=3\n# \uFFFD\n';
    expect(values(text)).toEqual([['A', 'X=1', 'Z=3']]);
    expect(told(text)).toEqual([
      'error nul-byte at 3:4: the line has a NUL byte',
      'error bad-encoding at 5:3: the line has bytes that are not UTF-8',
    ]);
    expect(told('\0\n'.repeat(1000))).toHaveLength(10);
  });

  it('refuses lines that nobody wrote, at once', () => {
    const long = 'a b"c\'d#\\#'.repeat(2 ** 20);
    const begin = processorMilliseconds();
    expect(told(`[A]\nX=${long}\nY=1\n`)).toEqual([
      `error long-line at 2:1: the line has ${long.length + 2} characters`,
    ]);
    expect(processorMilliseconds() - begin).toBeLessThan(3000);
  });

  it('takes time in proportion to the length', () => {
    const lines = `  a "b 'c #d \\# ${'"e '.repeat(50)}\n`.repeat(2 ** 15);
    const begin = processorMilliseconds();
    const [value] = scan(file, `[A]\nX=\n${lines}`).sections[0]?.assignments ?? [];
    expect(value?.value.origin(value.value.text.length - 2)).toEqual({
      kind: 'file',
      span: { file, line: 2 ** 15 + 2, column: 164, length: 2 },
    });
    expect(processorMilliseconds() - begin).toBeLessThan(5000);
  });

  it('knows where each part of a value stands', () => {
    const [section] = scan(file, '# c\n[A]\n\tKey = one \\# two\n\t   three\n').sections;
    const value = section?.assignments[0]?.value;
    expect(value?.text).toBe('one # two\nthree');
    expect(section?.origin).toEqual({ kind: 'file', span: { file, line: 2, column: 1, length: 3 } });
    expect(section?.assignments[0]?.keyOrigin).toEqual({
      kind: 'file',
      span: { file, line: 3, column: 2, length: 3 },
    });
    // `two` stands two columns after the escaped `#`.
    expect(value?.origin(6, 9)).toEqual({ kind: 'file', span: { file, line: 3, column: 15, length: 3 } });
    expect(value?.origin(10, 15)).toEqual({ kind: 'file', span: { file, line: 4, column: 5, length: 5 } });
  });

  it('collects all faults', () => {
    const { faults } = scan(file, 'X=1\n[A\nY\n=2\n[]\n');
    expect(faults.map(({ code, origin }) => [code, origin?.kind === 'file' ? origin.span.line : 0])).toEqual([
      ['outside-section', 1],
      ['bad-section-header', 2],
      ['missing-equals', 3],
      ['missing-equals', 4],
      ['bad-section-header', 5],
    ]);
  });

  it('does not complain about the continuation of a faulty line', () => {
    expect(scan(file, '[A]\nNonsense\n  more\n  of it\n').faults).toHaveLength(1);
  });

  it('never fails, and every place lies within the file', () => {
    const text = fc.string({
      unit: fc.constantFrom('[', ']', 'a', '=', '#', '\\', '"', "'", ' ', '\n', '\t', '\r'),
    });
    fc.assert(
      fc.property(text, (content) => {
        const lines = content.split('\n');
        const scanned = scan(file, content);
        const origins = [
          ...scanned.faults.map(({ origin }) => origin),
          ...scanned.sections.flatMap(({ origin, assignments }) => [
            origin,
            ...assignments.flatMap(({ keyOrigin, value }) => [keyOrigin, value.origin()]),
          ]),
        ];
        return origins.every((origin) => {
          if (origin?.kind !== 'file') return false;
          const line = lines[origin.span.line - 1];
          return (
            line !== undefined &&
            origin.span.column >= 1 &&
            origin.span.column + origin.span.length <= line.length + 1
          );
        });
      }),
      { numRuns: 2000 },
    );
  });
});
