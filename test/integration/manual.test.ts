import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';

const page = resolve(import.meta.dirname, '../../docs/man/mkimg.1');

function mandoc(...argv: readonly string[]): string {
  const { stdout, error } = spawnSync('mandoc', argv, { encoding: 'utf8' });
  if (error !== undefined) throw error;
  return stdout;
}

it('the manual page is one that mandoc has nothing to say against', () => {
  expect(mandoc('-T', 'lint', '-W', 'warning', page)).toBe('');
});

it('the manual page shows verbs, settings and examples', () => {
  const text = mandoc('-T', 'utf8', '-O', 'width=100', page).replace(/.\u0008/g, '');
  expect(text).toContain('mkimg - build, boot and test operating-system images');
  expect(text).toMatch(/^ {3,7}mkimg summary$/m);
  expect(text).toMatch(/^ {3,7}Packages=$/m);
  expect(text).toContain('--package=VALUE, -p VALUE');
  expect(text).toMatch(/^ +Distribution=debian$/m);
});
