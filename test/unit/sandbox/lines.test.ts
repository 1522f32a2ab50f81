import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineSplitter, Ring } from '../../../src/sandbox/lines.ts';
import { longestLine } from '../../../src/sandbox/text.ts';

function split(...chunks: readonly (string | Uint8Array)[]): readonly string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line));
  for (const chunk of chunks) splitter.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
  splitter.end();
  return lines;
}

describe('LineSplitter', () => {
  it('keeps empty lines and hands on an unfinished last one', () => {
    expect(split('a\n\nb')).toEqual(['a', '', 'b']);
    expect(split('a\n')).toEqual(['a']);
    expect(split('')).toEqual([]);
  });

  it('takes CRLF as one end, and a lone return as the end of a progress line', () => {
    expect(split('a\r\nb\r\n')).toEqual(['a', 'b']);
    expect(split('a\r', '\nb')).toEqual(['a', 'b']);
    expect(split('10%\r50%\r\r100%\n')).toEqual(['10%', '50%', '100%']);
  });

  it('does not depend on where the chunks are cut, not even within a character', () => {
    const text = fc.array(fc.constantFrom('a', 'ä', '€', '😀', '\n', '\r', '\r\n', ' '), { maxLength: 40 });
    fc.assert(
      fc.property(text, fc.array(fc.nat(100)), (parts, cuts) => {
        const bytes = Buffer.from(parts.join(''));
        const chunks: Uint8Array[] = [];
        let start = 0;
        for (const cut of cuts.filter((at) => at <= bytes.length).sort((a, b) => a - b)) {
          chunks.push(bytes.subarray(start, cut));
          start = cut;
        }
        expect(split(...chunks, bytes.subarray(start))).toEqual(split(bytes));
      }),
    );
  });

  it('keeps a bounded part of a line without end', () => {
    const chunk = Buffer.alloc(1 << 20, 0x78);
    const [line, ...more] = split(...Array.from({ length: 20 }, () => chunk), '\nnext\n');
    expect(line).toHaveLength(longestLine + 1);
    expect(more).toEqual(['next']);
  });
});

describe('Ring', () => {
  it('keeps the last values in order', () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), fc.integer({ min: 1, max: 10 }), (values, size) => {
        const ring = new Ring<number>(size);
        for (const value of values) ring.push(value);
        expect(ring.values()).toEqual(values.slice(-size));
      }),
    );
  });
});
