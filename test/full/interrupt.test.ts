/** Ctrl-C, SIGTERM and SIGKILL in each phase of a build: nothing runs on, nothing is left, nothing is lost. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import type { CliResult, RunningMkimg } from '../helpers/cli.ts';
import { mkimgProgram, until } from '../helpers/cli.ts';
import type { ImageBench } from '../helpers/image-bench.ts';
import { digestsOf, imageBench, processesOf } from '../helpers/image-bench.ts';

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
  /** Waits for the middle of the phase. */
  readonly reached: (running: RunningMkimg) => Promise<void>;
  /** The step that must not be done when the signal comes; a phase without one lasts until it is interrupted. */
  readonly step?: string;
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
    step: 'main: pack tar',
    reached: (running) => running.said('begin  main: pack tar'),
  },
  {
    name: 'making a disk',
    format: 'disk',
    change: 'ExtraTrees=big',
    step: 'main: build disk image',
    reached: (running) => running.said('begin  main: build disk image'),
  },
];

async function prepare({ format = 'tar', files = {} }: Phase): Promise<HostPath> {
  const project = await bench.project(settings(format, ''), { ...files, 'big/.keep': '' });
  await writeFile(join(project, 'big/random'), randomBytes(64 << 20));
  const built = await bench.run(project, ['build']);
  expect(built.code, built.stderr).toBe(0);
  return project;
}

/** Each call gives another image, so that there always is something to do. */
function settings(format: string, change: string): string {
  rounds += 1;
  return `[Distribution]\nRelease=trixie\n[Output]\nFormat=${format}\n[Validation]\nChecksum=yes\n[Content]\nBootable=no\nHostname=h${rounds}\nPackages=more\n${change}\n`;
}
let rounds = 0;

interface Interrupted {
  readonly result: CliResult;
  /** Digests of the outputs before the build. */
  readonly before: Readonly<Record<string, string>>;
}

type Kill = (running: RunningMkimg) => void;

/** Builds, and interrupts the build in the middle of the phase. A step may be done before the signal comes: then again. */
async function interrupted(phase: Phase, project: HostPath, kill: Kill): Promise<Interrupted> {
  for (let attempt = 1; attempt <= 10; attempt++) {
    const before = await digestsOf(project);
    const result = await buildUntil(phase, project, kill);
    if (phase.step === undefined || !result.stderr.includes(`done   ${phase.step}`))
      return { result, before };
  }
  throw new Error(`${phase.name} is always done before it can be interrupted`);
}

async function buildUntil(phase: Phase, project: HostPath, kill: Kill): Promise<CliResult> {
  await writeFile(join(project, 'mkimg.conf'), settings(phase.format ?? 'tar', phase.change));
  bench.server.stallAt = phase.stallAt;
  bench.server.requests.length = 0;
  const running = await bench.start(project, ['build', ...(phase.flags ?? [])]);
  try {
    await phase.reached(running);
    kill(running);
    return await running.ended;
  } finally {
    bench.server.stallAt = undefined;
  }
}

async function buildsAgain(project: HostPath, phase: Phase): Promise<void> {
  await writeFile(join(project, 'mkimg.conf'), settings(phase.format ?? 'tar', ''));
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
  const { result, before } = await interrupted(phase, project, (running) => running.kill(signal, whom));
  expect(result.code, result.stderr).toBe(130);
  expect(result.stderr.match(/error/g)).toHaveLength(1);
  expect(result.stderr).toContain('error: interrupted\n');
  expect(await bench.leftovers()).toEqual([]);
  expect(await digestsOf(project)).toEqual(before);
}

async function expectKilled(phase: Phase, project: HostPath): Promise<void> {
  const { result, before } = await interrupted(phase, project, (running) => running.kill('SIGKILL'));
  expect(result.code).toBe(137);
  await until(async () => (await processesOf(bench.directory)).length === 0);
  // The process in the namespace cleared up.
  expect(await bench.leftovers()).toEqual([]);
  expect(await digestsOf(project)).toEqual(before);
}

describe.each(phases)('$name', (phase) => {
  it('ends at Ctrl-C and at SIGKILL with nothing left and nothing lost', async () => {
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
  expect(await digestsOf(project)).toEqual({});
});
