/** Builds that are interrupted or killed while they put their outputs in place, on this file system and on another. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import type { RunningMkimg } from '../helpers/cli.ts';
import { until } from '../helpers/cli.ts';
import type { ImageBench } from '../helpers/image-bench.ts';
import { digestsOf, imageBench, processesOf } from '../helpers/image-bench.ts';

let bench: ImageBench;
let elsewhere: TemporaryDirectory;
let hosts = 0;

beforeAll(async () => {
  bench = await imageBench();
  elsewhere = await temporaryDirectory('/dev/shm', 'mkimg-publishing-');
  const [here, there] = [await stat(bench.directory), await stat(elsewhere.path)];
  if (here.dev === there.dev) throw new Error('/dev/shm is not a file system of its own');
});
afterAll(async () => {
  await elsewhere[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
});

interface Place {
  readonly format: 'tar' | 'directory';
  readonly where: 'beside the cache' | 'on another file system';
}

/** A project with one build done. */
interface Built {
  readonly project: HostPath;
  readonly output: HostPath;
  /** Changes what the image is: its host name. */
  readonly change: () => Promise<void>;
  readonly argv: readonly string[];
}

async function build({ format, where }: Place): Promise<Built> {
  const project = await bench.project('', { 'big/.keep': '' });
  await writeFile(join(project, 'big/random'), randomBytes(24 << 20));
  const parent = where === 'beside the cache' ? bench.directory : elsewhere.path;
  const output = hostPath(join(parent, `output${(hosts += 1)}`));
  await mkdir(output);
  const change = (): Promise<void> =>
    writeFile(
      join(project, 'mkimg.conf'),
      `[Distribution]\nRelease=trixie\n[Output]\nFormat=${format}\n[Validation]\nChecksum=yes\n[Content]\nBootable=no\nPackages=more\nExtraTrees=big\nHostname=h${(hosts += 1)}\n`,
    );
  const argv = ['--output-directory', output];
  await change();
  const done = await bench.run(project, [...argv, 'build']);
  expect(done.code, done.stderr).toBe(0);
  return { project, output, change, argv };
}

async function startPublishing({ project, output, change, argv }: Built): Promise<RunningMkimg> {
  await change();
  const running = await bench.start(project, [...argv, 'build']);
  await until(async () => (await readdir(output)).some((name) => name.includes('.mkimg-')));
  return running;
}

/** Everything that the image's files should be: whole archives, or a tree with its first and its last file. */
async function expectWhole({ output }: Built, { format }: Place): Promise<void> {
  if (format === 'directory') {
    expect(Object.keys(await digestsOf(output))).toEqual(
      expect.arrayContaining(['image/etc/hostname', 'image/random', 'image/usr/share/more/file']),
    );
    expect((await stat(join(output, 'image/random'))).size).toBe(24 << 20);
    return;
  }
  const sums = ['--check', '--quiet', 'image.SHA256SUMS'];
  expect(spawnSync('sha256sum', sums, { cwd: output }).status).toBe(0);
}

function unfinished(names: readonly string[]): readonly string[] {
  return names.filter((name) => name.includes('.mkimg-'));
}

// A directory is renamed into its place beside the cache: there is no middle to interrupt.
const places: readonly Place[] = [
  { format: 'tar', where: 'beside the cache' },
  { format: 'tar', where: 'on another file system' },
  { format: 'directory', where: 'on another file system' },
];

describe.each(places)('putting a $format in its place $where', (place) => {
  it('is done wholly or not at all, whenever it is interrupted', async () => {
    const built = await build(place);
    for (const milliseconds of [0, 10, 40]) {
      const before = await digestsOf(built.output);
      const running = await startPublishing(built);
      await sleep(milliseconds);
      running.kill('SIGINT', 'group');
      const { code } = await running.ended;
      // The signal may come when all is done.
      expect([0, 130]).toContain(code);
      const changed = JSON.stringify(await digestsOf(built.output)) !== JSON.stringify(before);
      if (code === 0) expect(changed).toBe(true);
      await expectWhole(built, place);
      expect(await bench.leftovers()).toEqual([]);
      expect(unfinished(await readdir(built.output))).toEqual([]);
    }
  });

  it('that is killed can be made whole by the next run', async () => {
    const built = await build(place);
    for (const milliseconds of [0, 10, 40]) {
      const running = await startPublishing(built);
      await sleep(milliseconds);
      // All of mkimg's own processes, so that nothing clears up.
      running.kill('SIGKILL', 'group');
      await running.ended;
      await until(async () => (await processesOf(bench.directory)).length === 0);
      const again = await bench.run(built.project, [...built.argv, 'build']);
      expect(again.code, again.stderr).toBe(0);
      await expectWhole(built, place);
      expect(await bench.leftovers()).toEqual([]);
      expect(unfinished(await readdir(built.output))).toEqual([]);
    }
  });
});
