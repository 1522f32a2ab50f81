import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { canRegisterPrivately } from '../../src/sandbox/binfmt.ts';
import { shellCommand } from '../../src/sandbox/text.ts';
import { until } from '../helpers/cli.ts';
import { isRoot } from '../helpers/ordinary-user.ts';
import type { Runner } from '../helpers/runners.ts';
import { installProgram, removeProgram, runners, withoutIds } from '../helpers/runners.ts';

/** How long the programs under test sleep, in seconds; no other run of the tests on this machine has the same. */
const duration = `54321.${process.pid}`;
let scratch: HostPath;

beforeAll(async () => {
  scratch = await installProgram('mkimg-sandbox-', [
    'src/base',
    'src/distro/architectures',
    'src/sandbox',
    'test/helpers/sandbox-program.ts',
  ]);
});

afterAll(() => removeProgram(scratch));

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function command(
  who: Runner,
  scenario: string,
): Promise<{ argv: [string, ...string[]]; directory: string }> {
  const prefix = await who.prefix(scratch);
  const home = join(scratch, 'home');
  mkdirSync(home, { recursive: true });
  const directory = join(who.mode === 'root' ? scratch : home, `${scenario}-${who.mode}`);
  const [first = process.execPath, ...rest] = [
    ...prefix,
    ...['sh', '-c', 'mkdir -p "$0" && exec "$@"', directory],
    ...[process.execPath, join(scratch, 'test/helpers/sandbox-program.js')],
    ...[scenario, who.mode, directory, duration],
  ];
  return { argv: [first, ...rest], directory };
}

async function run(who: Runner, scenario: string): Promise<Ran> {
  const { argv } = await command(who, scenario);
  const [file, ...args] = argv;
  const { status, stdout, stderr } = spawnSync(file, args, { encoding: 'utf8', cwd: '/' });
  return { status, stdout, stderr };
}

async function outcome(who: Runner, scenario: string): Promise<unknown> {
  const ran = await run(who, scenario);
  expect(ran.stderr).toBe('');
  return JSON.parse(ran.stdout);
}

/** Ids of the processes that have this word on their command line. */
function processesWith(word: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0').includes(word);
      } catch {
        return false;
      }
    })
    .map(Number);
}

describe.each(runners)('as $name', (who) => {
  const flat = who.mode === 'single-id';

  it('shows a tool the sandbox and nothing else', async () => {
    expect(await outcome(who, 'look')).toEqual({
      ids: '0\n0',
      environment: [
        ...[
          'HOME=/root',
          'LANG=C.UTF-8',
          'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        ],
        ...['PWD=/', 'TMPDIR=/tmp'],
      ].join('\n'),
      owner: flat ? '0:0' : '65534:1234',
      sync: 'answered',
      realSync: 'done',
      interfaces: expect.stringMatching(/(^|\n)lo$/) as string,
      online: expect.stringMatching(/^[1-9]/) as string,
      processes: expect.stringMatching(/^[1-9]$/) as string,
      input: 'from outside',
      noInput: '0',
      deviceMode: '1',
      readOnly: '1',
      commandLine: expect.not.stringContaining('xyzzy') as string,
    });
  });

  it('runs programs inside a tree and leaves only what they made', async () => {
    const result = await outcome(who, 'tree');
    expect(result).toMatchObject({
      output: ['null-works', flat ? '0' : '33', 'resolver', 'sys-read-only', 'inner'],
      left: ['dev', 'etc', 'etc/kept', 'proc', 'run', 'sys', 'tmp', 'var', 'var/tmp'],
    });
  });

  it('explains a failure and leads back into the sandbox', async () => {
    interface Failure {
      readonly code: string;
      readonly message: string;
      readonly tail: readonly string[];
      readonly reenter: string;
    }
    const { inTree, onHost, absent } = (await outcome(who, 'fail')) as Record<string, Failure>;
    expect(inTree).toMatchObject({
      code: 'tool-failed',
      message: 'sh failed while running the test: exit code 7.',
    });
    expect(inTree?.tail).toHaveLength(40);
    expect(inTree?.tail).toContain('200');
    expect(inTree?.tail).toContain('bad\\x1b[2J');
    expect(absent?.message).toContain('there is no such program');

    const pasted = await paste(who, inTree?.reenter ?? '', 'cat /etc/mark; id -u; ls /usr/bin/sh');
    expect(pasted).toMatchObject({ stdout: 'marked\n0\n/usr/bin/sh\n', status: 0 });
    const second = await paste(who, onHost?.reenter ?? '', 'echo "$GREETING"; ls /home | wc -l');
    expect(second).toMatchObject({ stdout: "it's me\n0\n" });
  });

  it.skipIf(!canRegisterPrivately())(
    'has programs of another architecture emulated, for itself alone (needs Linux 6.7)',
    async () => {
      const result = (await outcome(who, 'emulate')) as Record<string, unknown>;
      expect(result).toMatchObject({
        // As the kernel calls interpreters that want to know how a program was called.
        called: '/run/foreign /run/foreign one t w o',
        ids: `${flat ? '0:0' : '65534:1234'}\n0\n0`,
        failed: { code: 'tool-failed', message: 'sh failed while running the test: exit code 7.' },
        list: false,
        // A shell cannot read it either.
        bare: '126',
      });
      const { reenter } = result['failed'] as { readonly reenter: string };
      const pasted = await paste(who, reenter, '/run/foreign again; id -u');
      expect(pasted).toMatchObject({ stdout: '/run/foreign /run/foreign again\n0\n', status: 0 });
    },
  );

  it('layers trees', async () => {
    expect(await outcome(who, 'overlay')).toEqual({
      lower: ['both', 'dir', 'gone'],
      merged: ['both', 'dir', 'dir/new'],
      both: 'upper',
      write: 'EROFS',
      many: 71,
      topmost: '0',
      single: ['both', 'dir', 'gone'],
      singleWrite: 'EROFS',
      impossible: 'mount-failed',
      leftMounted: false,
    });
  });

  it('ends everything when it is aborted', async () => {
    expect(await outcome(who, 'abort')).toMatchObject({
      error: { code: 'interrupted' },
      again: { code: 'interrupted' },
      milliseconds: expect.toSatisfy((value: number) => value < 5000) as number,
    });
    expect(processesWith(duration)).toEqual([]);
  });

  it('ends what it has just begun', async () => {
    const interrupted = expect.objectContaining({ code: 'interrupted' }) as unknown;
    expect(await outcome(who, 'abortEarly')).toEqual(Array.from({ length: 40 }, () => interrupted));
    // The kernel takes a moment to clear a killed sandbox away.
    await until(() => processesWith(duration).length === 0);
  });

  it('hands an interrupt on once, and the exit code back', async () => {
    const { argv, directory } = await command(who, 'hang');
    const [file, ...args] = argv;
    rmSync(join(directory, 'running'), { force: true });
    const child = spawn(file, args, { cwd: '/', stdio: ['ignore', 'pipe', 'inherit'], detached: true });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const ended = new Promise<number | null>((settle) => child.on('close', settle));
    await until(() => existsSync(join(directory, 'running')));
    child.kill('SIGINT');
    expect(await ended).toBe(42);
    expect(JSON.parse(output)).toMatchObject({ error: { code: 'interrupted' }, interrupts: 1 });
    expect(processesWith(duration)).toEqual([]);
  });

  it('takes a Ctrl-C at the terminal, which reaches every process there, as one', async () => {
    const { argv, directory } = await command(who, 'hang');
    rmSync(join(directory, 'running'), { force: true });
    // Not every shell gives way to its last command by itself; one that stays takes the Ctrl-C for its own.
    const child = spawn('script', ['-qec', `exec ${shellCommand(argv)}`, '/dev/null'], { cwd: '/' });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const ended = new Promise<number | null>((settle) => child.on('close', settle));
    await until(() => existsSync(join(directory, 'running')));
    child.stdin.write('\u0003');
    expect(await ended).toBe(42);
    expect(output).toContain('"interrupts":1}');
  });

  it('leaves nothing running after kill -9', async () => {
    const { argv, directory } = await command(who, 'hang');
    rmSync(join(directory, 'running'), { force: true });
    const [file, ...args] = argv;
    const child = spawn(file, args, { cwd: '/', stdio: 'ignore', detached: true });
    const ended = new Promise((settle) => child.on('close', settle));
    await until(() => existsSync(join(directory, 'running')) && processesWith(duration).length > 0);
    const inner = Number(readFileSync(join(directory, 'inner.pid'), 'utf8'));
    child.kill('SIGKILL');
    await ended;
    await until(() => processesWith(duration).length === 0 && !existsSync(`/proc/${inner}`));
  });

  it('takes a flood of output in bounded memory', async () => {
    const result = (await outcome(who, 'flood')) as { lines: number; grown: number; file: number };
    expect(result.lines).toBeGreaterThan(3_000_000);
    expect(result.grown).toBeLessThan(150 * 1024 * 1024);
    expect(result.file).toBe(60_000_000);
  });
});

/** Types a script into the shell that a command line opens, as the same user. */
async function paste(who: Runner, line: string, script: string): Promise<Ran> {
  const prefix = await who.prefix(scratch);
  const [file, ...args] = [...prefix, 'sh', '-c', line] as const;
  const { status, stdout, stderr } = spawnSync(file, args, { encoding: 'utf8', input: script, cwd: '/' });
  return { status, stdout, stderr };
}

describe('the decision about privileges', () => {
  // Without root only the user who runs the tests is there to be decided about.
  it.each(isRoot ? runners : runners.slice(0, 1))('finds the mode of $name by trying', async (who) => {
    const ran = await run(who, 'decide');
    expect(JSON.parse(ran.stdout)).toMatchObject({ mode: who.mode });
  });

  it.runIf(isRoot)('says how to get subordinate ids', async () => {
    const ran = await run(withoutIds, 'decide');
    expect(ran.stdout).toContain(
      'usermod --add-subuids 100000-165535 --add-subgids 100000-165535 mkimg-test',
    );
  });
});
