/** Ctrl-C, SIGTERM and SIGKILL in each phase of a build: nothing runs on, nothing is left, nothing is lost. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import type { RunningMkimg } from '../helpers/cli.ts';
import { mkimgProgram, until } from '../helpers/cli.ts';
import type { ImageBench } from '../helpers/image-bench.ts';
import { imageBench, processesOf } from '../helpers/image-bench.ts';

let bench: ImageBench;

beforeAll(async () => {
  bench = await imageBench();
  await bench.distribution.add({
    name: 'slow',
    files: { 'DEBIAN/postinst': '#!/bin/sh\nexec sleep 54321.25\n' },
  });
});
afterAll(() => bench[Symbol.asyncDispose]());

/** A phase, and how to come into the middle of it. */
interface Phase {
  readonly name: string;
  readonly format?: string;
  /** Settings of [Content] that the interrupted build has and the one before has not. */
  readonly change: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly stallAt?: RegExp;
  readonly flags?: readonly string[];
  /** Milliseconds between the moment that `reached` waits for and the signal; 100 by default. */
  readonly delay?: number;
  readonly reached: (running: RunningMkimg, project: HostPath) => Promise<void>;
}

const sleepingScript = '#!/bin/sh\nsleep 54321.75 &\ntrap "" TERM\nwait\n';

async function sleeps(seconds: string): Promise<boolean> {
  return (await processesOf(bench.directory)).some((line) => line.includes(`sleep ${seconds}`));
}

const phases: readonly Phase[] = [
  {
    name: 'resolving',
    change: 'Packages=slow',
    stallAt: /Release$/,
    flags: ['--refresh'],
    reached: () => until(() => bench.server.requests.at(-1)?.endsWith('/Release') === true),
  },
  {
    name: 'downloading',
    change: 'Packages=slow',
    stallAt: /slow\.deb$/,
    reached: () => until(() => bench.server.requests.at(-1)?.endsWith('slow.deb') === true),
  },
  {
    name: 'installing',
    change: 'Packages=slow',
    reached: () => until(() => sleeps('54321.25')),
  },
  {
    name: 'scripts',
    change: 'PostInstallationScripts=go.sh',
    files: { 'go.sh': sleepingScript },
    reached: () => until(() => sleeps('54321.75')),
  },
  {
    name: 'packing',
    change: 'ExtraTrees=big\n[Output]\nCompressOutput=xz',
    reached: (running) => running.said('begin  main: pack tar'),
    delay: 0,
  },
  {
    name: 'making a disk',
    format: 'disk',
    change: 'ExtraTrees=big',
    reached: (running) => running.said('begin  main: build disk image'),
    delay: 0,
  },
];

async function prepare(phase: Phase): Promise<HostPath> {
  const { format = 'tar', files = {} } = phase;
  const project = await bench.project(settings(format, ''), {
    ...files,
    'big/.keep': '',
    'big/random': Array.from({ length: 300_000 }, (_, index) =>
      createHash('sha1').update(`${index}`).digest('hex'),
    ).join(''),
  });
  const built = await bench.run(project, ['build']);
  expect(built.code, built.stderr).toBe(0);
  await writeFile(join(project, 'mkimg.conf'), settings(format, phase.change));
  return project;
}

function settings(format: string, change: string): string {
  return `[Distribution]\nRelease=trixie\n[Output]\nFormat=${format}\n[Validation]\nChecksum=yes\n[Content]\nBootable=no\nPackages=more\n${change}\n`;
}

/** Names and digests of the outputs. */
async function outputs(project: HostPath): Promise<Readonly<Record<string, string>>> {
  const names = (await readdir(project)).filter((name) => name.startsWith('image'));
  const digests = names.map(async (name) => [
    name,
    createHash('sha256')
      .update(await readFile(join(project, name)))
      .digest('hex'),
  ]);
  return Object.fromEntries(await Promise.all(digests)) as Record<string, string>;
}

async function interrupted(phase: Phase, project: HostPath, kill: (running: RunningMkimg) => void) {
  bench.server.stallAt = phase.stallAt;
  bench.server.requests.length = 0;
  const running = await bench.start(project, ['build', ...(phase.flags ?? [])]);
  try {
    await phase.reached(running, project);
    await sleep(phase.delay ?? 100);
    kill(running);
    return await running.ended;
  } finally {
    bench.server.stallAt = undefined;
    if ((await processesOf(project)).length > 0) running.kill('SIGKILL', 'group');
  }
}

async function buildsAgain(project: HostPath, phase: Phase): Promise<void> {
  await writeFile(join(project, 'mkimg.conf'), settings(phase.format ?? 'tar', 'Hostname=again'));
  const again = await bench.run(project, ['build']);
  expect(again.code, again.stderr).toBe(0);
  expect(await bench.leftovers()).toEqual([]);
}

interface Way {
  readonly signal: NodeJS.Signals;
  /** `group` is what Ctrl-C at a terminal does. */
  readonly whom: 'process' | 'group';
}

async function expectInterrupted(phase: Phase, { signal, whom }: Way, project: HostPath): Promise<void> {
  const before = await outputs(project);
  const result = await interrupted(phase, project, (running) => running.kill(signal, whom));
  expect(result.code, result.stderr).toBe(130);
  expect(result.stderr.match(/error/g)).toHaveLength(1);
  expect(result.stderr).toContain('error: interrupted\n');
  expect(await bench.leftovers()).toEqual([]);
  expect(await outputs(project)).toEqual(before);
}

async function expectKilled(phase: Phase, project: HostPath): Promise<void> {
  const before = await outputs(project);
  const result = await interrupted(phase, project, (running) => running.kill('SIGKILL'));
  expect(result.code).toBe(137);
  await until(async () => (await processesOf(bench.directory)).length === 0);
  const left = await bench.leftovers();
  expect(left.filter((what) => /^(mount|temporary)/.test(what))).toEqual([]);
  expect(await outputs(project)).toEqual(before);
}

describe.each(phases)('$name', (phase) => {
  it('ends at Ctrl-C with nothing left, and at SIGKILL with nothing but what the next run clears away', async () => {
    const project = await prepare(phase);
    await expectInterrupted(phase, { signal: 'SIGINT', whom: 'group' }, project);
    await expectKilled(phase, project);
    await buildsAgain(project, phase);
  });
});

it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  '%s to the outer process alone ends the build too',
  async (signal) => {
    const [phase] = phases.filter(({ name }) => name === 'scripts');
    if (phase === undefined) throw new Error('no such phase');
    const project = await prepare(phase);
    await expectInterrupted(phase, { signal, whom: 'process' }, project);
  },
);

describe('at a terminal', () => {
  /** A build in its script step, below script(1), which makes a terminal and hands on what it reads. */
  async function startAtTerminal(project: HostPath) {
    const command = [
      ...['stty', 'cols', '80', 'rows', '24', '&&', 'exec'],

      process.execPath,
      mkimgProgram,
      '-C',
      project,
      '--tools-tree',
      bench.tools,
      'build',
    ];
    const terminal = spawn('script', ['-qfec', command.join(' '), '/dev/null'], {
      env: { ...bench.env, PATH: process.env['PATH'], LANG: 'C.UTF-8', TERM: 'xterm', SHELL: '/bin/sh' },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const screen = { text: '' };
    terminal.stdout.setEncoding('utf8').on('data', (text: string) => (screen.text += text));
    const ended = new Promise<number | null>((done) => terminal.on('close', done));
    await until(() => sleeps('54321.75'));
    await until(() => screen.text.includes('run post-installation scripts'));
    return { terminal, screen, ended };
  }

  it('Ctrl-C leaves the screen in order, and nothing else', async () => {
    const project = await bench.project(settings('tar', 'PostInstallationScripts=go.sh'), {
      'go.sh': sleepingScript,
    });
    const { terminal, screen, ended } = await startAtTerminal(project);
    terminal.stdin.write('\u0003');
    expect(await ended).toBe(130);
    expect(screen.text).toContain('interrupted\r\n');
    // The cursor was hidden, and is shown again at the end.
    expect(screen.text.lastIndexOf('\u001b[?25h')).toBeGreaterThan(screen.text.lastIndexOf('\u001b[?25l'));
    expect(await bench.leftovers()).toEqual([]);
  });

  it('that is closed the build ends', async () => {
    const project = await bench.project(settings('tar', 'PostInstallationScripts=go.sh'), {
      'go.sh': sleepingScript,
    });
    const { terminal, ended } = await startAtTerminal(project);
    terminal.kill('SIGKILL');
    await ended;
    await until(async () => (await processesOf(bench.directory)).length === 0);
    expect(await bench.leftovers()).toEqual([]);
  });
});

it('a reader that goes away ends the build as SIGPIPE ends other programs, but cleanly', async () => {
  const project = await bench.project(settings('tar', 'PostInstallationScripts=go.sh'), {
    'go.sh': '#!/bin/sh\nsleep 1\n',
  });
  const prefix = ['bash', '-c', '"$@" 2>&1 | head -n 1; exit "${PIPESTATUS[0]}"', 'bash'];
  const result = await bench.run(project, ['build'], { prefix });
  expect(result.code).toBe(141);
  expect(result.stdout.split('\n')).toHaveLength(2);
  expect(await bench.leftovers()).toEqual([]);
  expect(await outputs(project)).toEqual({});
});

describe('publishing', () => {
  async function startPublishing(project: HostPath): Promise<RunningMkimg> {
    await writeFile(
      join(project, 'mkimg.conf'),
      settings('tar', `ExtraTrees=big\nHostname=h${(hosts += 1)}`),
    );
    const running = await bench.start(project, ['build']);
    await until(async () => (await readdir(project)).some((name) => name.includes('.mkimg-tmp-')));
    return running;
  }
  let hosts = 0;

  function checksumsHold(project: HostPath): boolean {
    return spawnSync('sha256sum', ['--check', '--quiet', 'image.SHA256SUMS'], { cwd: project }).status === 0;
  }

  it('is done wholly or not at all, whenever it is interrupted', async () => {
    const project = await prepare({ name: '', change: '', reached: () => Promise.resolve() });
    for (const milliseconds of [0, 10, 40]) {
      const before = await outputs(project);
      const running = await startPublishing(project);
      await sleep(milliseconds);
      running.kill('SIGINT', 'group');
      const { code } = await running.ended;
      expect([0, 130]).toContain(code);
      // The signal may come when all is done.
      const after = await outputs(project);
      const changed = Object.keys(after).filter((name) => after[name] !== before[name]);
      expect([0, Object.keys(before).length]).toContain(changed.length);
      if (code === 0) expect(changed).not.toEqual([]);
      expect(checksumsHold(project)).toBe(true);
      expect(await bench.leftovers()).toEqual([]);
    }
  });

  it('that is killed leaves what was there, or what came, and the next run makes it whole', async () => {
    const project = await prepare({ name: '', change: '', reached: () => Promise.resolve() });
    for (const milliseconds of [0, 10, 40]) {
      const running = await startPublishing(project);
      await sleep(milliseconds);
      running.kill('SIGKILL', 'group');
      await running.ended;
      await until(async () => (await processesOf(bench.directory)).length === 0);
      expect(await outputs(project)).toHaveProperty(['image.tar.zst']);
      expect((await bench.run(project, ['build', '-f'])).code).toBe(0);
      expect(checksumsHold(project)).toBe(true);
      expect(await bench.leftovers()).toEqual([]);
    }
  });
});
