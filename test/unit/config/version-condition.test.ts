import { describe, expect, it } from 'vitest';
import { conditionOf, satisfies } from '../../../src/config/version-condition.ts';

describe('version conditions', () => {
  it.each([
    ['1.10', '>1.9', true],
    ['1.10', '<1.9', false],
    ['1.10', '1.10', true],
    ['1.10', '==1.10', true],
    ['1.10', '=1.10', true],
    ['1.10', '!=1.10', false],
    ['1.10', '>=1.10', true],
    ['1.10', '<=1.10~rc1', false],
  ])('%s satisfies %s: %s', (version, condition, holds) => {
    expect(satisfies(version, conditionOf(condition))).toBe(holds);
  });
});
