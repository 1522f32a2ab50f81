import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import { sha256 } from '../../../src/base/canonical.ts';
import { amended, MkimgError } from '../../../src/base/errors.ts';
import { explainFault, explainStepFault } from '../../../src/engine/faults.ts';
import { stepKey } from '../../../src/engine/record.ts';
import { testCache } from './fixtures.ts';

// statfs(2) says of it that nothing is free.
const full = hostPath('/proc');
const tail = ['tar: write: No space left on device'];

test.each(['tool-failed', 'script-failed', 'package-failed'])(
  'a full disk is told by the last lines of %s',
  async (code) => {
    const error = await explainFault(new MkimgError(code, 'it failed', { tail }), full);
    expect(error).toMatchObject({
      code: 'disk-full',
      message: 'No space left on the file system of /proc (0 bytes free)',
      hint: expect.stringContaining('mkimg cache prune') as string,
      tail,
    });
    expect(await explainFault(error, full)).toBe(error);
  },
);

test('our own writes tell it themselves', async () => {
  const error = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  expect(await explainFault(error, full)).toMatchObject({ code: 'disk-full' });
});

test('a tool that filled a small place of its own does not blame the disk', async () => {
  const error = new MkimgError('script-failed', 'it failed', { tail });
  const onlyRoomy = await explainFault(error);
  // On a machine whose /tmp is nearly full it rightly does.
  expect(onlyRoomy === error || (onlyRoomy as MkimgError).message.includes('tmp')).toBe(true);
});

test('other errors come back as they are', async () => {
  for (const error of [new MkimgError('tool-failed', 'no'), new Error('internal: x')]) {
    expect(await explainFault(error, full)).toBe(error);
  }
});

test('amending an error replaces what is given and keeps the rest', () => {
  const error = new MkimgError('code', 'message', {
    hint: 'hint',
    tail: ['line'],
    class: 'usage',
    reenter: 'sh',
  });
  const changed = amended(error, { reenter: 'sh enter', hint: undefined });
  expect(changed).toMatchObject({
    code: 'code',
    message: 'message',
    tail: ['line'],
    class: 'usage',
    reenter: 'sh enter',
  });
  expect(changed.hint).toBeUndefined();
});

test('a full disk is told with what the step needs, or took the last time', async () => {
  await using cache = await testCache();
  const { store } = cache;
  const error = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  const step = { kind: 'depmod', label: 'main: depmod' } as const;
  const needs = { stated: () => Promise.resolve<number | undefined>(99), made: () => Promise.resolve(7) };
  const scene = { store, step, needs };
  expect(await explainStepFault(error, scene)).toMatchObject({
    message: expect.stringMatching(
      /^No space left on the file system of .* \(\d+ bytes free\); 'main: depmod' needs about 99 bytes$/,
    ) as string,
  });
  const silent = { ...scene, needs: { ...needs, stated: () => Promise.resolve(undefined) } };
  expect(await explainStepFault(error, silent)).toMatchObject({
    message: expect.stringMatching(/; 'main: depmod' is made from 7 bytes$/) as string,
  });
  const unknown = { ...silent, needs: { ...silent.needs, made: () => Promise.resolve(0) } };
  expect(((await explainStepFault(error, unknown)) as MkimgError).message).toMatch(/ bytes free\)$/);
  await using stage = await store.stage();
  await writeFile(join(stage.entry, 'file'), 'x'.repeat(1234));
  const draft = { key: stepKey(sha256('key')), type: 'file', contentKeyed: false, lowerLayers: [] } as const;
  await store.commit(stage, { ...draft, ...step, meta: null, identity: {} });
  expect(await explainStepFault(error, scene)).toMatchObject({
    code: 'disk-full',
    message: expect.stringMatching(/free\); the last result of 'main: depmod' took 1234 bytes$/) as string,
  });
  expect(await explainStepFault(new MkimgError('x', 'y'), scene)).toMatchObject({ code: 'x' });
});
