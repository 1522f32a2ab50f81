import { readdir, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import {
  acquireLock,
  acquireLocks,
  markRunning,
  removeStaleLocks,
  runningBuilds,
} from '../../../src/engine/lock.ts';
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

test('several locks are taken in one order, whatever order they are named in', async () => {
  await using directory = await temporaryDirectory(tmpdir(), 'mkimg-lock-');
  const paths = ['a', 'b', 'c'].map((name) => join(directory.path, name));
  let held = 0;
  const hold = async (wanted: readonly string[]): Promise<void> => {
    await using _locks = await acquireLocks(wanted);
    held += 1;
    expect(held).toBe(1);
    await sleep(2);
    held -= 1;
  };
  await Promise.all(
    Array.from({ length: 12 }, (_, index) => hold(index % 2 === 0 ? paths : [...paths].reverse())),
  );
  expect(await readdir(directory.path)).toEqual([]);
});

test('what killed processes left is cleared away, and what living ones hold stays', async () => {
  await using directory = await temporaryDirectory(tmpdir(), 'mkimg-lock-');
  const dead = formatOwner({ ...currentOwner(), start: '1' });
  await writeFile(join(directory.path, 'one'), `${dead}.aa`);
  await writeFile(join(directory.path, `one.${dead}.aa`), `${dead}.aa`);
  await using _lock = await acquireLock(join(directory.path, 'two'));
  await removeStaleLocks(directory.path);
  expect(await readdir(directory.path)).toEqual(['two']);
});

test('an owner that cannot be looked up holds a lock as long as it shows that it lives', async () => {
  await using directory = await temporaryDirectory(tmpdir(), 'mkimg-lock-');
  const path = join(directory.path, 'lock');
  await writeFile(path, `${formatOwner({ ...currentOwner(), pidNamespace: '1' })}.aa`);
  await expect(acquireLock(path, { signal: AbortSignal.timeout(150) })).rejects.toThrow();
  const before = new Date(Date.now() - 90_000);
  await utimes(path, before, before);
  await using _lock = await acquireLock(path);
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
    // The kernel stamps files with a coarser clock.
    expect(build?.since).toBeGreaterThan(before - 100);
    expect(build?.since).toBeLessThan(Date.now() + 100);
  }
  await writeFile(join(running, `${formatOwner({ ...currentOwner(), start: '1' })}.x`), '');
  expect(await runningBuilds(running)).toEqual([]);
  expect(await readdir(running)).toEqual([]);
});
