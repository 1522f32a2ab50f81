import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConsoleLines, plainConsoleText } from '../../../src/qemu/console.ts';

/** The lines that come out when the console writes these pieces. */
function linesOf(...chunks: readonly (string | Uint8Array)[]): string[] {
  const lines: string[] = [];
  const reader = new ConsoleLines((line) => lines.push(line));
  for (const chunk of chunks) reader.push(Buffer.from(chunk));
  return lines;
}

describe('plainConsoleText', () => {
  it('drops colours, titles and modes', () => {
    expect(plainConsoleText('[\u001b[0;32m  OK  \u001b[0m] x\u001b]0;title\u0007y\u001b[?7hz\u001b[!p')).toBe(
      '[  OK  ] xyz',
    );
  });

  it('takes a jump to another row for a new line, as firmware writes them', () => {
    expect(plainConsoleText('\u001b[2J\u001b[01;01HBdsDxe: one\u001b[02;01HBdsDxe: two')).toBe(
      '\nBdsDxe: one\nBdsDxe: two',
    );
  });
});

describe('ConsoleLines', () => {
  it('cuts lines wherever the pieces end', () => {
    expect(linesOf('on', 'e\r\ntw', 'o\n\nthr', 'ee')).toEqual(['one', 'two']);
  });

  it('keeps control sequences and characters whole across pieces', () => {
    expect(linesOf('a\u001b[0;3', '2mb\n', Uint8Array.of(0xc3), Uint8Array.of(0xa4, 0x0a))).toEqual([
      'ab',
      'ä',
    ]);
  });

  it('shows a prompt that no newline follows', () => {
    const reader = new ConsoleLines(() => undefined);
    reader.push(Buffer.from('\r\nDebian\r\nvm \u001b[1mlogin:\u001b[0m '));
    expect(reader.unfinished()).toBe('vm login: ');
  });

  it('bounds a line without an end', () => {
    const lines = linesOf(...Array.from({ length: 100 }, () => 'x'.repeat(1000)));
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(4096);
  });

  it('gives the same lines for any way to cut the same text', () => {
    const text = fc.array(fc.constantFrom('a', 'ü', '\n', '\r', '\u001b[1m', '\u001b[2;1H', ' '), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(text, fc.array(fc.nat(100)), (parts, cuts) => {
        const bytes = Buffer.from(`${parts.join('')}\n`);
        const at = [...new Set(cuts.map((cut) => cut % bytes.length))].sort((left, right) => left - right);
        const chunks = [0, ...at].map((start, index) => bytes.subarray(start, at[index] ?? bytes.length));
        expect(linesOf(...chunks)).toEqual(linesOf(bytes));
      }),
    );
  });
});
