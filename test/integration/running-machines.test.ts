/** `mkimg qemu` and what speaks with a machine that it runs: firmware alone is guest enough. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import { isErrno } from '../../src/base/errors.ts';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { plainConsoleText } from '../../src/qemu/console.ts';
import { findMachine } from '../../src/qemu/running/registry.ts';
import { mkimg, mkimgProgram, startMkimg, until } from '../helpers/cli.ts';
import { project } from '../helpers/project.ts';
import { vmTools } from '../helpers/tools.ts';

let directory: TemporaryDirectory;
let environment: Readonly<Record<string, string>>;
let registry: HostPath;

beforeAll(async () => {
  await vmTools();
  directory = await project({
    'guest/mkimg.conf': '[Output]\nFormat=disk\n[Runtime]\nRAM=256M\nKVM=no\nMachine=guest\n',
  });
  await mkdir(join(directory.path, 'runtime'), { mode: 0o700 });
  await mkdir(join(directory.path, 'scratch'));
  await mkdir(join(directory.path, 'guest/mkimg.output'));
  // No system is on it, so the firmware starts its shell.
  await writeFile(join(directory.path, 'guest/mkimg.output/image.raw'), Buffer.alloc(1024 * 1024));
  environment = {
    XDG_RUNTIME_DIR: join(directory.path, 'runtime'),
    TMPDIR: join(directory.path, 'scratch'),
    TERM: 'xterm-256color',
  };
  registry = hostPath(join(directory.path, 'runtime/mkimg'));
});
afterAll(() => directory[Symbol.asyncDispose]());

/** What the firmware's own shell shows when it waits for a command. */
const prompt = 'Shell> ';
/** Emulated firmware takes 10 seconds, and others use this machine as well. */
const patience = 300_000;

interface Terminal {
  shown(): string;
  press(keys: string): void;
  readonly ended: Promise<unknown>;
}

const children = new Set<ChildProcess>();

/** Where a test fails, its machine must not go on. */
afterEach(() => {
  for (const child of children) child.kill();
  children.clear();
});

/** Runs shell commands on a terminal of their own, with `mkimg` for mkimg in the guest's project. */
function terminal(script: string): Terminal {
  const command = `mkimg() { ${process.execPath} ${mkimgProgram} -C ${directory.path}/guest "$@"; }; ${script}`;
  const child = spawn('script', ['--quiet', '--flush', '--command', command, '/dev/null'], {
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      SHELL: '/bin/sh',
      ...cache(),
      ...environment,
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.add(child);
  let text = '';
  child.stdout.setEncoding('latin1').on('data', (part: string) => (text += part));
  return {
    shown: () => text,
    press: (keys) => void child.stdin.write(keys, 'latin1'),
    ended: once(child, 'close'),
  };
}

function cache(): Readonly<Record<string, string>> {
  const place = process.env['XDG_CACHE_HOME'];
  return place === undefined ? {} : { XDG_CACHE_HOME: place };
}

/** The settings of the terminal, as `stty --save` writes them at each mark. */
function settingsOf(shown: string): readonly string[] {
  return [...shown.matchAll(/stty:([0-9a-f:]+)/g)].map(([, settings]) => settings ?? '');
}

const mark = 'echo "stty:$(stty --save)"';

async function processOfQemu(): Promise<number> {
  const image = join(directory.path, 'guest/mkimg.output/image.raw');
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const [name, mounts] = await Promise.all(
      ['comm', 'mountinfo'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')),
    );
    if (name?.startsWith('qemu-system') === true && mounts?.includes(image.slice(1)) === true)
      return Number(pid);
  }
  throw new Error('no QEMU has this image');
}

describe('mkimg qemu on a terminal', () => {
  it('hands keys to the guest, shows its console on others as well, and ends at Ctrl-A X', async () => {
    const first = terminal(`${mark}; mkimg qemu; echo "exit:$?"; ${mark}`);
    await until(() => first.shown().includes(prompt), patience);
    expect(first.shown()).toContain('guest runs');
    const second = terminal(`${mark}; mkimg console; echo "exit:$?"; ${mark}`);
    // What was shown before he came.
    await until(() => second.shown().includes(prompt));
    second.press('no-such-program\r');
    const complaint = 'is not recognized as an internal';
    await until(() => [first, second].every((it) => plainConsoleText(it.shown()).includes(complaint)));
    second.press('\u001d\u001d\u001d');
    await second.ended;
    expect(second.shown()).toContain('exit:0');
    expect(settingsOf(second.shown()).length).toBe(2);
    first.press('\u0001x');
    await first.ended;
    expect(first.shown()).toContain('exit:0');
    for (const ended of [first, second]) {
      const [before, after] = settingsOf(ended.shown());
      expect(after).toBe(before);
    }
    expect(await readdir(registry)).toEqual([]);
    expect(await readdir(join(directory.path, 'scratch'))).toEqual([]);
  });

  it('gives the terminal back when QEMU is killed, and ends consoles', async () => {
    const first = terminal(`${mark}; mkimg --console=interactive qemu; echo "exit:$?"; ${mark}`);
    await until(() => first.shown().includes('BdsDxe'), patience);
    const second = terminal(`mkimg console; echo "exit:$?"`);
    await until(() => second.shown().includes('BdsDxe'));
    process.kill(await processOfQemu(), 'SIGKILL');
    await Promise.all([first.ended, second.ended]);
    const [before, after] = settingsOf(first.shown());
    expect(after).toBe(before);
    expect(first.shown()).toMatch(/exit:[^0]/);
    expect(first.shown()).toContain('\u001b[?7h\u001b[?25h');
    expect(second.shown()).toContain('exit:0');
    expect(await readdir(registry)).toEqual([]);
  });
});

/** mkimg takes signals that follow closer for one wish. */
const sameWish = 1100;

/** The process that runs the machine. */
async function processOfMkimg(): Promise<number> {
  const entry = (await readdir(registry)).find((name) => name.endsWith('.console'));
  if (entry === undefined) throw new Error('no machine is listed');
  return Number.parseInt(entry, 10);
}

describe.each(['SIGTERM', 'SIGHUP'] as const)('mkimg qemu on a terminal, at %s', (signal) => {
  it('gives the terminal back, also when it must end at once', async () => {
    const first = terminal(`${mark}; mkimg qemu; echo "exit:$?"; ${mark}`);
    await until(() => first.shown().includes('guest runs'), patience);
    const pid = await processOfMkimg();
    process.kill(pid, signal);
    await until(() => first.shown().includes('Asked guest to switch itself off'));
    for (const pause of [sameWish, sameWish]) {
      await sleep(pause);
      try {
        process.kill(pid, signal);
      } catch (error) {
        // The second one may have been enough.
        if (!isErrno(error, 'ESRCH')) throw error;
      }
    }
    await first.ended;
    const [before, after] = settingsOf(first.shown());
    expect(after).toBe(before);
    expect(first.shown()).toMatch(/exit:[^0]/);
  });
});

describe('mkimg qemu without a terminal', () => {
  it('keeps a picture of the screen, can be found by name, and ends at Ctrl-C', async () => {
    const picture = join(directory.path, 'screen.png');
    const argv = ['-C', join(directory.path, 'guest'), '--console=headless'];
    const running = await startMkimg([...argv, `--screenshot=${picture}`, 'qemu'], { env: environment });
    const exists = (): Promise<boolean> => readFile(picture).then(...([() => true, () => false] as const));
    await until(exists, patience);
    const head = (await readFile(picture)).subarray(0, 24);
    expect(head.subarray(1, 4).toString()).toBe('PNG');
    expect(head.readUInt32BE(16)).toBeGreaterThan(300);
    expect((await findMachine(registry, 'guest')).image).toContain('image.raw');
    running.kill('SIGINT', 'group');
    // Firmware has no ear for it.
    await running.said('Asked guest to switch itself off');
    await sleep(sameWish);
    expect((await findMachine(registry, 'guest')).image).toContain('image.raw');
    running.kill('SIGINT', 'group');
    expect((await running.ended).code).toBe(130);
    expect(await readdir(registry)).toEqual([]);
    expect(await readdir(join(directory.path, 'scratch'))).toEqual([]);
  });

  it('ends at once at Ctrl-C where nothing of the image is kept', async () => {
    const argv = ['-C', join(directory.path, 'guest'), '--console=headless', '--ephemeral=yes', 'qemu'];
    const running = await startMkimg(argv, { env: environment });
    await running.said('guest runs');
    running.kill('SIGINT', 'group');
    const { code, stderr } = await running.ended;
    expect(code).toBe(130);
    expect(stderr).not.toContain('Asked');
  });

  it('is not found where none runs', async () => {
    const { code, stderr } = await mkimg(['-C', join(directory.path, 'guest'), 'console'], {
      env: environment,
    });
    expect(code).toBe(2);
    expect(stderr).toContain('no machine called guest runs here');
  });
});
