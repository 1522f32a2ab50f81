/** What builds must survive: being killed, racing for one key, a clock that is set back, inputs that change. */
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { until } from '../helpers/cli.ts';
import type { ImageBench } from '../helpers/image-bench.ts';
import { imageBench, processesOf } from '../helpers/image-bench.ts';
import { killAtRandom, smallImage, smallImageFiles } from '../helpers/killed-builds.ts';

let bench: ImageBench;

beforeAll(async () => {
  bench = await imageBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

/** Without scripts, which see where the project is: all steps of two projects are the same. */
const sharedImage = '[Distribution]\nRelease=trixie\n[Output]\nFormat=tar\n[Content]\nPackages=more\n';

async function built(project: HostPath, ...argv: readonly string[]): Promise<Buffer> {
  const { code, stderr } = await bench.run(project, ['build', ...argv]);
  expect(code, stderr).toBe(0);
  return readFile(join(project, 'image.tar.zst'));
}

it('builds that are killed at random moments do no harm to the next one', () => killAtRandom(bench, 10));

it('of builds that race for the same keys, one works and the others wait for it', async () => {
  const projects = await Promise.all([1, 2].map(() => bench.project(sharedImage)));
  const runs = await Promise.all(projects.map((project) => bench.run(project, ['build'])));
  for (const { code, stderr } of runs) expect(code, stderr).toBe(0);
  const [one, two] = await Promise.all(projects.map((project) => readFile(join(project, 'image.tar.zst'))));
  expect(one?.equals(two ?? Buffer.alloc(0))).toBe(true);
  const started = runs.flatMap(({ stderr }) => stderr.match(/^begin .*(unpack|install|pack tar).*$/gm) ?? []);
  expect(new Set(started).size).toBe(started.length);
  expect(started).toContain('begin  main: pack tar');
  expect(runs.map(({ stderr }) => stderr).join('')).toMatch(/Waiting for process \d+, which is making '/);
  expect(await bench.leftovers()).toEqual([]);
});

it('a build that waits for one that is killed makes the result itself', async () => {
  await bench.run(await bench.project(sharedImage), ['cache', 'prune', '--all']);
  const projects = await Promise.all([1, 2].map(() => bench.project(sharedImage)));
  const [first, second] = await Promise.all(projects.map((project) => bench.start(project, ['build'])));
  const waiting = await Promise.any(
    [first, second].map(async (build) => {
      await build?.said(/Waiting for process \d+, which is making 'main: .*/);
      return build;
    }),
  );
  const holder = waiting === first ? second : first;
  holder?.kill('SIGKILL');
  await holder?.ended;
  const ended = await waiting?.ended;
  expect(ended?.code, ended?.stderr).toBe(0);
  expect(await bench.leftovers()).toEqual([]);
});

it('a clock that was set back makes nothing stale or wrong', async () => {
  const project = await bench.project(smallImage('clock'), smallImageFiles);
  const before = await built(project);
  const future = new Date(Date.now() + 400 * 24 * 60 * 60 * 1000);
  const store = join(bench.cache, 'mkimg/store');
  for (const name of await readdir(store)) {
    if (name.length === 64) await utimes(join(store, name, 'record.json'), future, future);
  }
  await utimes(join(project, 'extra/etc/motd'), future, future);
  const quiet = await bench.run(project, ['build']);
  expect(quiet.stderr).toContain('Up to date');
  await writeFile(join(project, 'extra/etc/motd'), 'HELLO\n');
  await utimes(join(project, 'extra/etc/motd'), future, future);
  expect((await built(project)).equals(before)).toBe(false);
  await writeFile(join(project, 'extra/etc/motd'), 'hello\n');
  expect((await built(project)).equals(before)).toBe(true);
});

it('a file that is changed while a step runs ends the build, and the next one is right', async () => {
  const script = '#!/bin/sh\nexec sleep 2.97\n';
  const project = await bench.project(smallImage('moving'), { ...smallImageFiles, 'go.sh': script });
  const running = await bench.start(project, ['build']);
  await until(async () => (await processesOf(project)).some((line) => line.includes('sleep 2.97')));
  await writeFile(join(project, 'go.sh'), '#!/bin/sh\necho other >"$BUILDROOT/etc/other"\n');
  const { code, stderr, events } = await running.ended;
  expect(code, stderr).toBe(1);
  expect(events).toContainEqual(expect.objectContaining({ type: 'error', code: 'input-changed' }));
  expect(stderr).toContain(`${project}/go.sh was changed while`);
  const image = await built(project);
  const fresh = await bench.project(smallImage('moving'), {
    ...smallImageFiles,
    'go.sh': '#!/bin/sh\necho other >"$BUILDROOT/etc/other"\n',
  });
  expect((await built(fresh)).equals(image)).toBe(true);
});
