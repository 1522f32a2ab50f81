import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { until } from '../helpers/cli.ts';
import type { Runner } from '../helpers/runners.ts';
import { installProgram, removeProgram, runners } from '../helpers/runners.ts';

/** How long the programs under test sleep, in seconds; no other run of the tests on this machine has the same. */
const duration = `54321.${process.pid}`;
let scratch: HostPath;

beforeAll(async () => {
  const rooms = ['base', 'engine', 'plan', 'sandbox', 'distro', 'steps/apt'].map((room) => `src/${room}`);
  scratch = await installProgram('mkimg-engine-', [...rooms, 'test/helpers/engine-program.ts']);
  mkdirSync(join(scratch, 'caches'));
  chmodSync(join(scratch, 'caches'), 0o1777);
});

afterAll(() => removeProgram(scratch));

async function start(scenario: string, who: Runner, cache: string): Promise<ChildProcess> {
  const main = join(scratch, 'test/helpers/engine-program.js');
  const command = [process.execPath, main, scenario, who.mode, cache, duration];
  return spawn('env', [...(await who.prefix(scratch)), ...command], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
}

async function answer(child: ChildProcess): Promise<unknown> {
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (part: string) => (text += part));
  await new Promise((done) => child.on('close', done));
  return text === '' ? undefined : JSON.parse(text);
}

async function run(scenario: string, who: Runner, cache: string): Promise<unknown> {
  return await answer(await start(scenario, who, cache));
}

/** The step's own program runs; bwrap itself, still setting up the sandbox, does not count. */
const isSleeping = (): boolean =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .some((pid) => commandLine(pid).startsWith(`sleep\0${duration}\0`));

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

describe.each(runners)('as $name', (who) => {
  const cacheOf = (name: string): string => join(scratch, 'caches', `${who.mode}-${name}`);
  const staging = (cache: string): readonly string[] => readdirSync(join(cache, 'store/.staging'));

  test('trees are kept as layers and read through overlays', async () => {
    const cache = cacheOf('layers');
    const ids = who.mode === 'single-id' ? '0:0' : '33:42';
    expect(await run('layers', who, cache)).toEqual({
      listing: ['etc d 0:0 755', `etc/kept f ${ids} 644`, 'var d 0:0 755', 'var/new f 0:0 4755'],
      same: expect.stringContaining('var/new') as string,
      layers: 2,
      sound: null,
      finished: expect.arrayContaining(['base', 'removed', 'top', 'list', 'again']) as string[],
      mounted: false,
    });
    expect(await run('layers', who, cache)).toMatchObject({ finished: [], mounted: false });
    expect(await run('trim', who, cache)).toEqual({ removed: 4 });
    expect(readdirSync(join(cache, 'store'))).toEqual(['.staging']);
  });

  test('layers come whole from a shared cache, white-outs, owners and modes included', async () => {
    const cache = cacheOf('shared');
    mkdirSync(cache);
    chmodSync(cache, 0o777);
    const ids = who.mode === 'single-id' ? '0:0' : '33:42';
    const listing = ['etc d 0:0 755', `etc/kept f ${ids} 644`, 'var d 0:0 755', 'var/new f 0:0 4755'];
    // Said where results are still being stored at the end.
    const waits = expect.toSatisfy((notes: string[]) =>
      notes.every((note) => note.startsWith('Storing ')),
    ) as unknown;
    expect(await run('shared', who, cache)).toEqual([
      { listing, finished: ['base', 'removed', 'top', 'list'], notes: waits },
      { listing, finished: ['list'], notes: [] },
    ]);
  });

  test('an interrupted build leaves no process, mount or staging directory', async () => {
    const cache = cacheOf('int');
    const child = await start('hang', who, cache);
    const result = answer(child);
    await until(() => existsSync(join(cache, 'ready')) && isSleeping());
    // As Ctrl-C does: to the whole foreground group.
    process.kill(-(child.pid ?? 0), 'SIGINT');
    expect(await result).toEqual({ code: 'interrupted', mounted: false });
    expect(staging(cache)).toEqual([]);
    expect(isSleeping()).toBe(false);
  });

  test('a killed build leaves no process, and the next run clears its staging directory', async () => {
    const cache = cacheOf('kill');
    const child = await start('hang', who, cache);
    const gone = answer(child);
    await until(() => existsSync(join(cache, 'ready')) && isSleeping());
    child.kill('SIGKILL');
    await until(() => !isSleeping());
    expect(staging(cache).length).toBeGreaterThan(0);
    expect(await run('layers', who, cache)).toMatchObject({
      sound: null,
      finished: expect.not.arrayContaining(['top']) as string[],
    });
    expect(staging(cache)).toEqual([]);
    await gone;
  });
});
