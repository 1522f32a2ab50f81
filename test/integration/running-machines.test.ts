/** `mkimg qemu` and what speaks with a machine that it runs: firmware alone is guest enough. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
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
    expect((await running.ended).code).toBe(130);
    expect(await readdir(registry)).toEqual([]);
    expect(await readdir(join(directory.path, 'scratch'))).toEqual([]);
  });

  it('is not found where none runs', async () => {
    const { code, stderr } = await mkimg(['-C', join(directory.path, 'guest'), 'console'], {
      env: environment,
    });
    expect(code).toBe(2);
    expect(stderr).toContain('no machine called guest runs here');
  });
});
