/** Several runs at once: in one directory, on one cache, and beside the cache being trimmed. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import { isErrno } from '../../src/base/errors.ts';
import type { CliResult, RunningMkimg } from '../helpers/cli.ts';
import { until } from '../helpers/cli.ts';
import type { ImageBench } from '../helpers/image-bench.ts';
import { imageBench, processesOf } from '../helpers/image-bench.ts';

const tar = '[Distribution]\nRelease=trixie\n[Output]\nFormat=tar\n[Content]\nPackages=more\n';
let bench: ImageBench;

beforeAll(async () => {
  bench = await imageBench();
});
afterEach(async () => {
  expect(await bench.leftovers()).toEqual([]);
});
afterAll(() => bench[Symbol.asyncDispose]());

interface SlowProject {
  readonly project: HostPath;
  /** Waits until the slow step runs. */
  readonly reached: () => Promise<void>;
  /** Lets the step end, and each further one that comes before the build ends. */
  readonly release: (running: RunningMkimg) => Promise<CliResult>;
}

/** A project one step of which sleeps for this many seconds, unless it is released; nothing else may sleep as long. */
async function slowProject(seconds: string): Promise<SlowProject> {
  const project = await bench.project(`${tar}PostInstallationScripts=slow.sh\n`, {
    'slow.sh': `#!/bin/sh\nsleep ${seconds} || true\n`,
  });
  const sleepers = async (): Promise<readonly string[]> =>
    (await processesOf(project)).filter((line) => line.includes(`sleep ${seconds}`));
  const release = async (running: RunningMkimg): Promise<CliResult> => {
    let hasEnded = false;
    void running.ended.finally(() => (hasEnded = true));
    while (!hasEnded) {
      for (const line of await sleepers()) end(Number(line.split(' ')[1]));
      await sleep(50);
    }
    return running.ended;
  };
  return { project, reached: () => until(async () => (await sleepers()).length > 0), release };
}

function end(pid: number): void {
  try {
    process.kill(pid);
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}

describe('two builds in one directory', () => {
  it('take turns: the second waits, says for whom, and finds its work done', async () => {
    const { project, reached, release } = await slowProject('302.91');
    const first = await bench.start(project, ['build']);
    await reached();
    const second = await bench.start(project, ['build']);
    await second.said(/Waiting for process \d+, which is building into /);
    const [one, two] = await Promise.all([release(first), second.ended]);
    expect([one.code, two.code], one.stderr + two.stderr).toEqual([0, 0]);
    expect(one.events).toContainEqual(expect.objectContaining({ type: 'artifact', state: 'built' }));
    expect(two.events).toContainEqual(expect.objectContaining({ type: 'artifact', state: 'unchanged' }));
    expect(two.events.filter(({ type }) => type === 'step-started')).toEqual([]);
  });

  it('do not wait for one that was killed, and one that waits can be interrupted', async () => {
    const { project, reached, release } = await slowProject('302.92');
    const first = await bench.start(project, ['build']);
    await reached();
    const impatient = await bench.start(project, ['build']);
    await impatient.said('Waiting for process');
    impatient.kill('SIGINT');
    const interrupted = await impatient.ended;
    expect(interrupted.code).toBe(130);
    expect(interrupted.stderr).toContain('error: interrupted');
    const patient = await bench.start(project, ['build']);
    await patient.said('Waiting for process');
    first.kill('SIGKILL');
    expect((await first.ended).code).toBe(137);
    const { code, stderr } = await release(patient);
    expect(code, stderr).toBe(0);
    expect(await readdir(project)).toContain('image.tar.zst');
    await until(async () => (await processesOf(project)).length === 0);
  });
});

describe('builds of different projects on one cache', () => {
  it('all succeed on an empty one, with the same result for the same image', async () => {
    const env = { XDG_CACHE_HOME: join(bench.directory, 'cache-shared') };
    const projects = await Promise.all([
      bench.project(tar),
      bench.project(tar),
      bench.project(`${tar}Hostname=third\n`),
    ]);
    const runs = await Promise.all(projects.map((project) => bench.run(project, ['build'], { env })));
    for (const { code, stderr } of runs) expect(code, stderr).toBe(0);
    const [one, two, three] = await Promise.all(
      projects.map((project) => readFile(join(project, 'image.tar.zst'))),
    );
    expect(one?.equals(two ?? Buffer.alloc(0))).toBe(true);
    expect(one?.equals(three ?? Buffer.alloc(0))).toBe(false);
    const cache = hostPath(join(env.XDG_CACHE_HOME, 'mkimg'));
    expect(await readdir(join(cache, 'store/.staging'))).toEqual([]);
    const pool = await readdir(join(cache, 'packages'));
    expect(pool.filter((name) => !name.endsWith('.deb'))).toEqual([]);
    const verified = await bench.run(projects[0], ['cache', 'verify'], { env });
    expect(verified.code, verified.stdout).toBe(0);
  });

  it('are not harmed by `cache prune --all` meanwhile', async () => {
    const { project, reached, release } = await slowProject('302.93');
    const running = await bench.start(project, ['build']);
    await reached();
    const pruned = await bench.run(project, ['cache', 'prune', '--all']);
    expect(pruned.code, pruned.stderr).toBe(0);
    const { code, stderr } = await release(running);
    expect(code, stderr).toBe(0);
    expect((await release(await bench.start(project, ['build', '-ff']))).code).toBe(0);
  });
});
