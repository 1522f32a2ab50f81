/** Faults and interrupts as an ordinary user sees them. Where the tests run as one, the other files are that already. */
import { spawnSync } from 'node:child_process';
import { chmod, chown, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import type { CliResult, RunningMkimg } from '../helpers/cli.ts';
import { startMkimg, until } from '../helpers/cli.ts';
import type { ImageBench } from '../helpers/image-bench.ts';
import { imageBench, processesOf } from '../helpers/image-bench.ts';
import { isRoot, ordinaryUserPrefix } from '../helpers/ordinary-user.ts';

const repository = resolve(import.meta.dirname, '../..');
const tar = '[Distribution]\nRelease=trixie\n[Output]\nFormat=tar\n[Content]\nPackages=more\n';

const kinds = [
  { name: 'with subordinate ids', hasSubordinateIds: true, signals: ['SIGINT', 'SIGKILL'] },
  { name: 'without subordinate ids', hasSubordinateIds: false, signals: ['SIGTERM'] },
] as const;

describe.skipIf(!isRoot).each(kinds)('an ordinary user $name (needs root to become one)', (kind) => {
  let bench: ImageBench;
  let prefix: readonly string[];
  let home: string;

  beforeAll(async () => {
    bench = await imageBench();
    const { hasSubordinateIds } = kind;
    const binds = { mkimg: repository, tools: bench.tools };
    prefix = await ordinaryUserPrefix({ scratch: bench.directory, hasSubordinateIds, binds });
    home = join(bench.directory, 'home');
  });
  afterAll(() => bench[Symbol.asyncDispose]());

  /** A project that belongs to the user. */
  async function projectOf(
    settings: string,
    files: Readonly<Record<string, string>> = {},
  ): Promise<HostPath> {
    const project = await bench.project(settings, files);
    spawnSync('chown', ['--recursive', '--reference', home, project]);
    return project;
  }

  function start(project: HostPath, argv: readonly string[]): Promise<RunningMkimg> {
    const program = join(bench.directory, 'mkimg/dist/cli/main.js');
    const words = ['-C', project, '--tools-tree', join(bench.directory, 'tools'), ...argv];
    return startMkimg(words, { prefix, program });
  }

  async function run(project: HostPath, argv: readonly string[]): Promise<CliResult> {
    return (await start(project, argv)).ended;
  }

  const staging = (): Promise<string[]> => readdir(join(home, '.cache/mkimg/store/.staging'));

  it('builds, and is told what he lacks', async () => {
    const project = await projectOf(tar);
    const { code, stderr } = await run(project, ['build']);
    expect(code, stderr).toBe(0);
    const note = 'No subordinate ids: all files in the image will belong to root';
    expect(stderr.includes(note)).toBe(!kind.hasSubordinateIds);
    expect(await staging()).toEqual([]);
  });

  it('is told which directory he may not write to, before anything runs', async () => {
    const other = join(bench.directory, 'of-root');
    await mkdir(other, { recursive: true });
    const project = await projectOf(`${tar}[Output]\nOutputDirectory=${other}\n`);
    const output = await run(project, ['build']);
    expect(output.code).toBe(2);
    expect(output.stderr).toContain(
      `${project}/mkimg.conf:8:17: error: Cannot write to the output directory ${other}: permission denied`,
    );
    expect(output.stderr).not.toContain('begin');
    const cache = await run(project, ['--cache-directory', join(other, 'cache'), 'build']);
    expect(cache.code).toBe(2);
    expect(cache.stderr).toContain(`Cannot write to the cache directory ${other}/cache`);
  });

  it('is told which file he may not read', async () => {
    const settings = await projectOf(tar);
    await chown(join(settings, 'mkimg.conf'), 0, 0);
    await chmod(join(settings, 'mkimg.conf'), 0o600);
    const unread = await run(settings, ['build']);
    expect(unread.code).toBe(2);
    expect(unread.stderr).toBe(`${settings}/mkimg.conf: error: it cannot be read: permission denied\n`);
    const project = await projectOf(tar, { 'mkimg.extra/secret': 'x' });
    await chown(join(project, 'mkimg.extra/secret'), 0, 0);
    await chmod(join(project, 'mkimg.extra/secret'), 0o600);
    const extra = await run(project, ['build']);
    expect(extra.code).toBe(2);
    expect(extra.stderr).toContain(`error: No permission to read ${project}/mkimg.extra/secret`);
  });

  it('enters the sandbox of a script that failed', async () => {
    const project = await projectOf(`${tar}PostInstallationScripts=go.sh\n`, {
      'go.sh': '#!/bin/sh\necho marked > "$BUILDROOT/marked"\nexit 3\n',
    });
    const { code, stderr } = await run(project, ['build']);
    expect(code).toBe(1);
    expect(stderr).toContain(`${project}/mkimg.conf:7:25: error: ${project}/go.sh failed`);
    const command = stderr.trim().split('\n').at(-1)?.trim() ?? '';
    const [first = 'sh', ...rest] = [...prefix].concat('sh', '-c', command);
    const input = 'cat "$BUILDROOT/marked"; pwd; id -u\n';
    const inside = spawnSync(first, rest, { input, encoding: 'utf8' });
    expect(inside.stderr).toBe('');
    expect(inside.stdout).toBe('marked\n/work/src\n0\n');
  });

  it.each(kind.signals)('leaves nothing at %s', async (signal) => {
    const project = await projectOf(tar);
    expect((await run(project, ['build'])).code).toBe(0);
    const before = await readFile(join(project, 'image.tar.zst'));
    await writeFile(join(project, 'mkimg.conf'), `${tar}PostInstallationScripts=go.sh\n`);
    await writeFile(join(project, 'go.sh'), '#!/bin/sh\nsleep 54321.5 &\ntrap "" TERM\nwait\n', {
      mode: 0o755,
    });
    const running = await start(project, ['build']);
    await until(async () => (await processesOf(project)).some((line) => line.includes('sleep 54321.5')));
    running.kill(signal);
    expect((await running.ended).code).toBe(signal === 'SIGKILL' ? 137 : 130);
    await until(async () => (await processesOf(project)).length === 0);
    expect((await readFile(join(project, 'image.tar.zst'))).equals(before)).toBe(true);
    if (signal !== 'SIGKILL') expect(await staging()).toEqual([]);
    await writeFile(join(project, 'go.sh'), '#!/bin/sh\n');
    const again = await run(project, ['build']);
    expect(again.code, again.stderr).toBe(0);
    expect(await staging()).toEqual([]);
  });
});
