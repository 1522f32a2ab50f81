import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { mkimg } from '../helpers/cli.ts';

const guest = resolve(import.meta.dirname, '../guests/steps');

// All kinds of steps, and all ways to fail, are in test/full/boot-steps.test.ts.
it('two tests side by side: one asks its system and restarts it, the other finds that the kernel panics', async () => {
  await using output = await temporaryDirectory('/var/tmp', 'mkimg-steps-');
  const argv = ['-C', guest, '--output-directory', output.path];
  const built = await mkimg([...argv, 'build']);
  expect(built.code, built.stderr).toBe(0);
  const tested = await mkimg([...argv, '--json', 'test', '--jobs=2', 'short', 'no-initrd']);
  expect(tested.code, tested.stderr).toBe(1);
  const { tests } = JSON.parse(tested.stdout) as { readonly tests: readonly unknown[] };
  expect(tests, tested.stdout).toMatchObject([
    { name: 'no-initrd', verdict: { outcome: 'failed', reason: 'kernel-panic' } },
    {
      name: 'short',
      verdict: { outcome: 'passed' },
      boots: [{ systemState: 'running' }, { systemState: 'running' }],
    },
  ]);
});
