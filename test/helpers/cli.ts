import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { RunEvent } from '../../src/base/events.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';

/** The built program: tests of the whole use what users use. `npm test` builds it first. */
export const mkimgProgram = resolve(import.meta.dirname, '../../dist/cli/main.js');

export interface CliResult {
  /** Exit status; 128 + number for a signal, as shells report it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly events: readonly RunEvent[];
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Run as this user instead of the one who runs the tests (needs root). */
  readonly user?: string;
  readonly cwd?: string;
  /** Called with each event as it is written, for tests that act in the middle of a run. */
  readonly interrupt?: { readonly when: (stderr: string) => boolean; readonly signal: NodeJS.Signals };
}

/** Runs mkimg and collects what it says; never throws for a failed run. */
export async function mkimg(argv: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  await using scratch = await temporaryDirectory('/tmp', 'mkimg-cli-');
  const log = join(scratch.path, 'events.ndjson');
  const command = [process.execPath, mkimgProgram, ...eventArguments(argv, options, log)];
  const prefix =
    options.user === undefined
      ? []
      : [
          'setpriv',
          '--reuid',
          options.user,
          '--regid',
          options.user,
          '--init-groups',
          '--inh-caps=-all',
          '--',
        ];
  const [program = '', ...rest] = [...prefix, ...command];
  const env = { PATH: process.env['PATH'], LANG: 'C.UTF-8', ...cacheEnvironment(options), ...options.env };
  const child = spawn(program, rest, { cwd: options.cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  let interrupted = false;
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    if (options.interrupt !== undefined && !interrupted && options.interrupt.when(stderr)) {
      interrupted = true;
      child.kill(options.interrupt.signal);
    }
  });
  const code = await new Promise<number>((done, failed) => {
    child.on('error', failed);
    child.on('close', (status, signal) => done(status ?? (signal === 'SIGKILL' ? 137 : 143)));
  });
  return { code, stdout, stderr, events: await readEvents(log) };
}

/** The scratch directory belongs to root, so another user's run writes no event file. */
function eventArguments(argv: readonly string[], options: CliOptions, log: string): readonly string[] {
  return options.user === undefined ? ['--events', log, ...argv] : argv;
}

function cacheEnvironment(options: CliOptions): Readonly<Record<string, string>> {
  const home = options.user === undefined ? process.env['HOME'] : `/home/${options.user}`;
  const cache = options.user === undefined ? process.env['XDG_CACHE_HOME'] : undefined;
  return {
    ...(home === undefined ? {} : { HOME: home }),
    ...(cache === undefined ? {} : { XDG_CACHE_HOME: cache }),
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
