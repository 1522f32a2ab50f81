import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../../src/base/errors.ts';
import { hostFiles } from '../../../src/config/files.ts';

let directory: string;
const at = (name: string): string => join(directory, name);

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'mkimg-files-'));
  mkdirSync(at('sub'));
  writeFileSync(at('latin1.conf'), Buffer.from([0x63, 0x61, 0x66, 0xe9]));
  writeFileSync(at('huge.conf'), '');
  truncateSync(at('huge.conf'), 3 * 2 ** 30);
  symlinkSync('/dev/null', at('masked.conf'));
  symlinkSync('/dev/zero', at('endless.conf'));
  symlinkSync('loop.conf', at('loop.conf'));
});

afterAll(() => {
  rmSync(directory, { recursive: true });
});

function refusal(read: () => unknown): unknown {
  try {
    read();
  } catch (error) {
    if (error instanceof ConfigurationError) return error.diagnostics;
    throw error;
  }
  return 'not refused';
}

describe('the files of the disk', () => {
  it('are text; bytes that are none are marked', () => {
    expect(hostFiles.read(at('latin1.conf'))).toBe('caf\uFFFD');
  });

  it('are empty where they are masked', () => {
    expect(hostFiles.read(at('masked.conf'))).toBe('');
  });

  it.each([
    ['sub', 'it is a directory'],
    ['endless.conf', 'it is not a regular file'],
    ['huge.conf', 'it has more than 134217728 bytes'],
  ])('are refused where reading them makes no sense: %s', (name, reason) => {
    expect(refusal(() => hostFiles.read(at(name)))).toEqual([
      {
        severity: 'error',
        code: 'unreadable-file',
        message: `it cannot be read: ${reason}`,
        origin: { kind: 'path', path: at(name) },
      },
    ]);
  });

  it.each(['gone', 'latin1.conf/below', 'loop.conf', 'x'.repeat(5000), 'x'.repeat(300)])(
    'are not there under impossible names: %#',
    (name) => {
      expect(hostFiles.stat(at(name))).toBeUndefined();
      expect(hostFiles.list(at(name))).toEqual([]);
    },
  );
});
