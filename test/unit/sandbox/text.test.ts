import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { longestLine, printable, shellCommand } from '../../../src/sandbox/text.ts';

describe('printable', () => {
  it('drops colours and shows other control characters', () => {
    expect(printable('\u001b[1;31merror\u001b[0m: bad')).toBe('error: bad');
    expect(printable('\u001b]0;title\u0007')).toBe('\\x1b]0;title\\x07');
    expect(printable('a\tb\u202egnp.exe')).toBe('a\tb\\u202egnp.exe');
  });

  it('cuts long lines', () => {
    expect(printable('x'.repeat(longestLine + 5))).toBe(`${'x'.repeat(longestLine)}…`);
    expect(printable('x'.repeat(longestLine))).toHaveLength(longestLine);
  });

  // The generator takes seconds to set up on a busy machine.
  it('leaves no character that moves the cursor', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        return !/[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/.test(printable(text));
      }),
    );
  });
});

describe('shellCommand', () => {
  it('quotes only what needs it', () => {
    expect(shellCommand(['mkfs.ext4', '-L', "it's", ''])).toBe(`mkfs.ext4 -L 'it'\\''s' ''`);
  });

  it('is read back by a shell as the same words', () => {
    const word = fc.oneof(
      fc.string().filter((text) => !text.includes('\0')),
      fc.constantFrom(
        '\u001b[31m',
        'a\nb',
        '$HOME `id` "x"',
        '%s\u0007%%',
        '\\n\u0001',
        'ä\u202eö',
        '~',
        '*',
        '-n',
      ),
    );
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 6 }), (words) => {
        const line = shellCommand(['printf', '%s\\0', ...words]);
        const output = execFileSync('sh', ['-c', line], { encoding: 'utf8' });
        expect(output.split('\0').slice(0, -1)).toEqual(words);
      }),
      { numRuns: 60 },
    );
  });
});
