import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunEvent } from '../../src/base/events.ts';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';

/** The built program: tests of the whole use what users use. `npm test` builds it first. */
export const mkimgProgram = resolve(import.meta.dirname, '../../dist/cli/main.js');

export interface CliResult {
  /** Exit status; 128 + number for a signal, as shells report it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Empty for runs as another user, who cannot write the test's event file. */
  readonly events: readonly RunEvent[];
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Words before the command: those of ordinaryUserPrefix(), `unshare` and the like. */
  readonly prefix?: readonly string[];
  /** The program, where the prefix makes another path of it. */
  readonly program?: string;
}

/** A run of mkimg that has begun, in a process group of its own. */
export interface RunningMkimg {
  readonly pid: number;
  /** What it has written to standard error so far. */
  stderr(): string;
  /** Waits until standard error holds this. @throws when the run ends before. */
  said(text: string | RegExp): Promise<void>;
  /** To the process itself, or, as a terminal's Ctrl-C, to its whole group. */
  kill(signal: NodeJS.Signals, whom?: 'process' | 'group'): void;
  readonly ended: Promise<CliResult>;
}

/** Runs mkimg and collects what it says; never throws for a failed run. */
export async function mkimg(argv: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return (await startMkimg(argv, options)).ended;
}

/** Starts mkimg and returns while it runs. */
export async function startMkimg(argv: readonly string[], options: CliOptions = {}): Promise<RunningMkimg> {
  const scratch = await temporaryDirectory('/tmp', 'test-cli-');
  const log = join(scratch.path, 'events.ndjson');
  const { prefix = [], program = mkimgProgram } = options;
  const events = prefix.some((word) => word.includes('as-user-')) ? [] : ['--events', log];
  const [first = '', ...rest] = [...prefix, process.execPath, program, ...events, ...argv];
  const env = { PATH: process.env['PATH'], LANG: 'C.UTF-8', ...ownEnvironment(), ...options.env };
  const child = spawn(first, rest, {
    cwd: options.cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  return follow(child, log, scratch);
}

function ownEnvironment(): Readonly<Record<string, string>> {
  const names = ['HOME', 'XDG_CACHE_HOME'].map((name) => [name, process.env[name]] as const);
  return Object.fromEntries(names.filter((pair): pair is [string, string] => pair[1] !== undefined));
}

function follow(child: ChildProcess, log: string, scratch: TemporaryDirectory): RunningMkimg {
  const { pid } = child;
  if (pid === undefined) throw new Error('mkimg could not be started');
  const text = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.setEncoding('utf8').on('data', (part: string) => (text[stream] += part));
  }
  let hasEnded = false;
  const closed = new Promise<number>((done, failed) => {
    child.on('error', failed);
    child.on('close', (status, signal) => {
      hasEnded = true;
      done(status ?? 128 + constants.signals[signal ?? 'SIGKILL']);
    });
  });
  const ended = (async (): Promise<CliResult> => {
    await using _scratch = scratch;
    return { code: await closed, ...text, events: await readEvents(log) };
  })();
  return {
    pid,
    stderr: () => text.stderr,
    said: (wanted) =>
      until(() => {
        const found = typeof wanted === 'string' ? text.stderr.includes(wanted) : wanted.test(text.stderr);
        if (!found && hasEnded)
          throw new Error(`mkimg ended without saying ${String(wanted)}:\n${text.stderr}`);
        return found;
      }),
    kill: (signal, whom = 'process') => process.kill(whom === 'group' ? -pid : pid, signal),
    ended,
  };
}

async function readEvents(log: string): Promise<readonly RunEvent[]> {
  try {
    const lines = (await readFile(log, 'utf8')).trim().split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as RunEvent);
  } catch {
    return [];
  }
}

/** Waits until the condition holds, by default up to a minute. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  milliseconds = 60_000,
): Promise<void> {
  const deadline = performance.now() + milliseconds;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('it never became so');
    await sleep(20);
  }
}
