import { readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import { acquireLock, markRunning, runningBuilds } from '../../../src/engine/lock.ts';
import { currentOwner, formatOwner } from '../../../src/base/owner.ts';

test('a lock is held by one at a time, and the waiting one hears of it once', async () => {
  await using directory = await temporaryDirectory(tmpdir(), 'mkimg-lock-');
  const path = join(directory.path, 'lock');
  let held = 0;
  let waits = 0;
  const hold = async (): Promise<void> => {
    await using _lock = await acquireLock(path, { onWait: () => (waits += 1) });
    held += 1;
    expect(held).toBe(1);
    await sleep(20);
    held -= 1;
  };
  await Promise.all([hold(), hold(), hold()]);
  expect(waits).toBe(2);
  expect(await readdir(directory.path)).toEqual([]);
});

test("a dead process's lock is taken over by one of those who wait", async () => {
  await using directory = await temporaryDirectory(tmpdir(), 'mkimg-lock-');
  const path = join(directory.path, 'lock');
  await writeFile(path, `${formatOwner({ ...currentOwner(), start: '1' })}.dead`);
  let held = 0;
  const hold = async (): Promise<void> => {
    await using _lock = await acquireLock(path);
    held += 1;
    expect(held).toBe(1);
    await sleep(5);
    held -= 1;
  };
  await Promise.all(Array.from({ length: 32 }, hold));
  expect(await readdir(directory.path)).toEqual([]);
});

test('waiting for a lock can be given up', async () => {
  await using directory = await temporaryDirectory(tmpdir(), 'mkimg-lock-');
  const path = join(directory.path, 'lock');
  await using _lock = await acquireLock(path);
  await expect(acquireLock(path, { signal: AbortSignal.timeout(20) })).rejects.toThrow();
  expect(await readdir(directory.path)).toEqual(['lock']);
});

test('marks of running builds tell whose they are and since when, and die with their process', async () => {
  await using directory = await temporaryDirectory(tmpdir(), 'mkimg-lock-');
  const running = hostPath(join(directory.path, 'running'));
  expect(await runningBuilds(running)).toEqual([]);
  const before = Date.now();
  {
    await using _mark = await markRunning(running);
    const [build] = await runningBuilds(running);
    expect(build?.pid).toBe(process.pid);
    expect(Math.abs((build?.since ?? 0) - before)).toBeLessThan(1000);
  }
  await writeFile(join(running, `${formatOwner({ ...currentOwner(), start: '1' })}.x`), '');
  expect(await runningBuilds(running)).toEqual([]);
  expect(await readdir(running)).toEqual([]);
});
