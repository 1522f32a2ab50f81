import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ExitCode } from '../helpers/error-codes.ts';
import { errorCodes } from '../helpers/error-codes.ts';

const text = readFileSync(resolve(import.meta.dirname, '../../docs/errors.md'), 'utf8');
const rows = [...text.matchAll(/^\| `([a-z-]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)].map(
  ([, code = '', exits = '', meaning = '', action = '']) => ({
    code,
    exits: exits.split(', '),
    meaning,
    action,
  }),
);
const codes = errorCodes();

describe('docs/errors.md', () => {
  it('has a row for every code of the source, and no other', () => {
    expect(codes.size).toBeGreaterThan(100);
    expect(rows.map(({ code }) => code)).toEqual([...codes.keys()].sort());
  });

  it.each(rows.map((row) => [row.code, row] as const))('tells the exit codes of %s', (code, row) => {
    const known = codes.get(code) ?? new Set<ExitCode>();
    const certain = [...known].filter((exit) => exit !== 'unknown');
    expect(row.exits).toEqual(expect.arrayContaining(certain));
    if (!known.has('unknown')) expect([...row.exits].sort()).toEqual(certain.sort());
    expect(row.meaning.length).toBeGreaterThan(10);
    expect(row.action.length).toBeGreaterThan(5);
  });
});
