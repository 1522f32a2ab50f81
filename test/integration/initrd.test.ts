import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, readlink, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/base/canonical.ts';
import { silentEvents } from '../../src/base/events.ts';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { runProgram } from '../../src/sandbox/process.ts';
import { mkimg, mkimgProgram } from '../helpers/cli.ts';
import type { HookMachine, System } from '../helpers/kernel-install.ts';
import {
  buildSystem,
  configure,
  kernelInstall,
  ownInitrdCache,
  plugin,
  runPlugin,
} from '../helpers/kernel-install.ts';

let scratch: TemporaryDirectory;
let system: System;
let machine: HookMachine;

beforeAll(async () => {
  scratch = await temporaryDirectory('/var/tmp', 'test-initrd-');
  system = await buildSystem(scratch.path);
  await writeFile(keymapFile(), 'KEYMAP=us\n');
  machine = {
    ...{ system, cache: await cacheWithOwnSegments('cache') },
    ...{ bootRoot: join(scratch.path, 'boot'), configuration: join(scratch.path, 'kernel') },
  };
  await mkdir(machine.bootRoot);
});

/** A file that goes into the initrd as it is. */
function keymapFile(): string {
  return join(system.root, 'etc/vconsole.conf');
}

afterAll(async () => {
  await scratch[Symbol.asyncDispose]();
});

function cacheWithOwnSegments(name: string): Promise<string> {
  return ownInitrdCache(join(scratch.path, name));
}

async function makeInitrd(
  output: string,
  flags: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Awaited<ReturnType<typeof mkimg>>> {
  const { root, kernelVersion } = system;
  const where = [`--root=${root}`, `--kernel-version=${kernelVersion}`, `--output=${output}`, '--generic'];
  const result = await mkimg(['initrd', ...where, `--cache-directory=${machine.cache}`, ...flags], { env });
  expect(result.code, result.stderr).toBe(0);
  return result;
}

async function digestOf(file: string): Promise<string> {
  return sha256(await readFile(file));
}

/** Every file below a directory with its size. */
async function filesBelow(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}

/** What a compressed part unpacks to. */
async function namesIn(part: Buffer): Promise<readonly string[]> {
  const file = join(scratch.path, 'part');
  await writeFile(file, part);
  return (await program('sh', '-c', `zstd -dcq < '${file}' | cpio -t --quiet`)).split('\n');
}

async function program(...argv: readonly [string, ...string[]]): Promise<string> {
  const env = { PATH: process.env['PATH'] ?? '' };
  const { exitCode, stdout, tail } = await runProgram({ argv, env, stdout: 'capture', events: silentEvents });
  expect(exitCode, tail.join('\n')).toBe(0);
  return stdout;
}

describe('mkimg initrd', () => {
  it('makes what the kernel and cpio take, and nothing when it is there', async () => {
    const output = join(scratch.path, 'initrd');
    await makeInitrd(output);
    const checked = await mkimg(['initrd', 'check', '--json', output]);
    expect(checked.code, checked.stdout).toBe(0);
    const { segments } = JSON.parse(checked.stdout) as { segments: { encoding: string; offset: number }[] };
    // The base is eight archives, the profile one.
    expect(segments.slice(0, 9).map(({ encoding }) => encoding)).toEqual(Array(9).fill('zstd'));
    const bytes = await readFile(output);
    const archives: (readonly string[])[] = [];
    for (const [index, { offset }] of segments.slice(0, 9).entries())
      archives.push(await namesIn(bytes.subarray(offset, segments[index + 1]?.offset)));
    const [profile, ...base] = archives.reverse();
    expect(base.filter((names) => names.includes('usr/lib/systemd/systemd'))).toHaveLength(1);
    expect(base.flat()).not.toContain('init');
    expect(profile).toContain('init');
    const again = await makeInitrd(output);
    expect(again.events.find(({ type }) => type === 'artifact')).toMatchObject({ state: 'unchanged' });
  });

  it('makes the same bytes in another directory and time zone, with nothing remembered', async () => {
    const first = join(scratch.path, 'initrd');
    await makeInitrd(first);
    const other = join(await cacheWithOwnSegments('other-cache'), 'made');
    await mkdir(other);
    const output = join(other, 'initrd');
    await makeInitrd(output, [`--cache-directory=${dirname(other)}`], { TZ: 'Asia/Tokyo', LC_ALL: 'C' });
    expect(await digestOf(output)).toBe(await digestOf(first));
  });

  it('tells in a manifest what the kernel will measure', async () => {
    for (const [name, flags] of [
      ['initrd', []],
      ['measured.efi', ['--format=uki']],
    ] as const) {
      const output = join(scratch.path, name);
      await makeInitrd(output, flags);
      const { stdout } = await mkimg(['inspect', '--json', `--cache-directory=${machine.cache}`, output]);
      const { measurement } = JSON.parse(stdout) as { measurement: string };
      const directory = join(machine.cache, 'initrd/manifests');
      const files = (await readdir(directory)).map((file) => readFile(join(directory, file), 'utf8'));
      const manifests = (await Promise.all(files)).map(
        (text) => JSON.parse(text) as { output?: string; parts: { role: string }[]; measurements: unknown },
      );
      const [manifest, ...others] = manifests.filter((candidate) => candidate.output === output);
      expect(others).toEqual([]);
      expect(manifest?.measurements).toEqual([{ register: 9, sha256: measurement }]);
      const roles = manifest?.parts.map(({ role }) => role);
      expect(roles).toEqual(expect.arrayContaining(['base', 'profile', 'modules', 'host']));
    }
  });

  it('adds a profile as a part of its own, and leaves the base as it is', async () => {
    const output = join(scratch.path, 'initrd');
    const parts = async (): Promise<readonly { readonly role?: string; readonly offset: number }[]> => {
      const { code, stdout } = await mkimg([
        ...['inspect', '--json', `--cache-directory=${machine.cache}`, output],
      ]);
      expect(code, stdout).toBe(0);
      return (JSON.parse(stdout) as { parts: { role?: string; offset: number }[] }).parts;
    };
    await makeInitrd(output);
    const base = await readFile(output);
    await makeInitrd(output, ['--profile=raid']);
    const whole = await readFile(output);
    const [profile, modules] = (await parts()).filter(({ role }) => role !== 'base');
    expect([profile?.role, modules?.role]).toEqual(['profile', 'modules']);
    const start = profile?.offset ?? 0;
    expect(whole.subarray(0, start).equals(base.subarray(0, start))).toBe(true);
    const names = await namesIn(whole.subarray(start, modules?.offset));
    expect(names).toContain('usr/sbin/mdadm');
    expect(names).not.toContain('usr/lib/systemd/systemd');
    const { code, stdout } = await mkimg(['initrd', 'check', output]);
    expect(code, stdout).toBe(0);
  });

  it('warns of patterns for modules that leave out all that the mode brings', async () => {
    const output = join(scratch.path, 'initrd-of-one');
    const { stderr } = await makeInitrd(output, ['--kernel-initrd-modules=loop']);
    expect(stderr).toContain('warning: KernelInitrdModules= has no `default`');
    const both = await makeInitrd(output, ['--kernel-initrd-modules=default loop']);
    expect(both.stderr).not.toContain('KernelInitrdModules=');
  });

  it('makes a damaged part again', async () => {
    const output = join(scratch.path, 'initrd');
    await makeInitrd(output);
    const good = await digestOf(output);
    const segments = join(machine.cache, 'initrd/segments');
    for (const name of await readdir(segments)) await truncate(join(segments, name, 'initrd'), 100);
    await writeFile(output, 'spoilt');
    await makeInitrd(output);
    expect(await digestOf(output)).toBe(good);
  });

  it('makes a directory with the same files', async () => {
    const output = join(scratch.path, 'as-directory');
    await makeInitrd(output, ['--format=directory']);
    expect(await readlink(join(output, 'init'))).toBe('usr/lib/systemd/systemd');
    expect(await readdir(join(output, 'usr/lib/modules', system.kernelVersion))).toContain('modules.dep.bin');
  });

  it('takes files of the machine along, and sees when they change', async () => {
    const output = join(scratch.path, 'initrd-keymap');
    await makeInitrd(output);
    const before = await digestOf(output);
    await writeFile(keymapFile(), 'KEYMAP=de-latin1\n');
    await makeInitrd(output);
    expect((await readFile(output)).includes('KEYMAP=de-latin1')).toBe(true);
    await writeFile(keymapFile(), 'KEYMAP=us\n');
    await makeInitrd(output);
    expect(await digestOf(output)).toBe(before);
  });

  it('says what is wrong with a kernel that is not there', async () => {
    const { code, stderr } = await mkimg([
      'initrd',
      `--root=${system.root}`,
      '--kernel-version=0.0',
      '--generic',
      `--cache-directory=${machine.cache}`,
    ]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('There is no kernel 0.0')]);
  });

  it('refuses a profile that it does not know, and names the near one', async () => {
    const { code, stderr } = await mkimg([
      ...['initrd', `--root=${system.root}`, `--kernel-version=${system.kernelVersion}`, '--generic'],
      ...['--profile=lvn', `--cache-directory=${machine.cache}`],
    ]);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/no profile 'lvn'[^]*Did you mean 'lvm'/)]);
  });

  it('replaces no directory that it did not make', async () => {
    const foreign = join(scratch.path, 'foreign');
    await mkdir(foreign);
    await writeFile(join(foreign, 'precious'), '');
    for (const format of ['directory', 'cpio']) {
      const { code, stderr } = await mkimg([
        ...['initrd', `--root=${system.root}`, `--kernel-version=${system.kernelVersion}`, '--generic'],
        ...[`--format=${format}`, `--output=${foreign}`, `--cache-directory=${machine.cache}`],
      ]);
      expect([code, stderr]).toEqual([2, expect.stringContaining('a directory that mkimg did not make')]);
    }
    expect(await readdir(foreign)).toEqual(['precious']);
  });

  it('makes again what changed, on --refresh', async () => {
    const output = join(scratch.path, 'initrd-refreshed');
    await makeInitrd(output);
    await writeFile(keymapFile(), 'KEYMAP=fr\n');
    const refreshed = await mkimg(['initrd', '--refresh', `--cache-directory=${machine.cache}`]);
    expect(refreshed.code, refreshed.stderr).toBe(0);
    expect((await readFile(output)).includes('KEYMAP=fr')).toBe(true);
    await writeFile(keymapFile(), 'KEYMAP=us\n');
  });
});

describe('the plugin of kernel-install', () => {
  const entry = (): string =>
    join(machine.bootRoot, '3e0484f3634a418b8e6a39e8828b03e3', system.kernelVersion);
  const add = (): readonly string[] => ['add', system.kernelVersion, system.kernel];

  async function newBoot(settings: readonly string[]): Promise<void> {
    await rm(machine.bootRoot, { recursive: true });
    await mkdir(machine.bootRoot);
    await configure(machine, settings);
  }

  it('leaves segments for boot loader entries, and nothing when the kernel goes', async () => {
    await newBoot(['layout=bls', 'initrd_generator=mkimg']);
    const added = await kernelInstall(machine, ['--make-entry-directory=yes', ...add()]);
    expect(added.code, added.stderr).toBe(0);
    expect(await readdir(entry())).toEqual([
      ...['initrd-10-base', 'initrd-15-profile', 'initrd-20-modules', 'initrd-90-host', 'linux'],
    ]);
    const [name = ''] = await readdir(join(machine.bootRoot, 'loader/entries'));
    const text = await readFile(join(machine.bootRoot, 'loader/entries', name), 'utf8');
    expect(text.match(/^initrd .*\/(.*)$/gm)).toHaveLength(4);
    const removed = await kernelInstall(machine, ['remove', system.kernelVersion]);
    expect(removed.code, removed.stderr).toBe(0);
    expect((await filesBelow(machine.bootRoot)).filter((path) => path.includes('initrd'))).toEqual([]);
  });

  it('makes a unified kernel image', async () => {
    await newBoot(['layout=uki', 'initrd_generator=mkimg', 'uki_generator=mkimg']);
    const added = await kernelInstall(machine, add());
    expect(added.code, added.stderr).toBe(0);
    const [name = ''] = await readdir(join(machine.bootRoot, 'EFI/Linux'));
    const sections = await program('objdump', '-h', join(machine.bootRoot, 'EFI/Linux', name));
    for (const section of ['.osrel', '.cmdline', '.uname', '.initrd', '.linux', '.sbat'])
      expect(sections).toContain(section);
  });

  it('makes one file for other layouts, and removes it', async () => {
    await newBoot(['layout=other', 'initrd_generator=mkimg']);
    const added = await kernelInstall(machine, add());
    expect(added.code, added.stderr).toBe(0);
    const [name = ''] = await readdir(machine.bootRoot);
    expect(name).toMatch(/^init(?:rd\.img|ramfs)-/);
    expect((await mkimg(['initrd', 'check', join(machine.bootRoot, name)])).code).toBe(0);
    await kernelInstall(machine, ['remove', system.kernelVersion]);
    expect(await readdir(machine.bootRoot)).toEqual([]);
  });

  it('is silent and does nothing for other generators', async () => {
    await newBoot(['layout=other', 'initrd_generator=dracut']);
    const added = await kernelInstall(machine, add());
    expect([added.code, added.stderr.trim(), await readdir(machine.bootRoot)]).toEqual([0, '', []]);
  });

  it('works without a staging area and with next to no environment', async () => {
    await newBoot([]);
    await mkdir(entry(), { recursive: true });
    const environment = {
      ...{ KERNEL_INSTALL_INITRD_GENERATOR: 'mkimg', KERNEL_INSTALL_LAYOUT: 'bls', PATH: '', HOME: '' },
      ...{ KERNEL_INSTALL_BOOT_ROOT: machine.bootRoot, TMPDIR: '/proc', XDG_CACHE_HOME: '/nonexistent' },
    };
    const argv = ['add', system.kernelVersion, entry(), system.kernel];
    const added = await runPlugin(machine, argv, environment);
    expect(added.code, added.stderr).toBe(0);
    expect(await readdir(entry())).toEqual(['initrd']);
  });

  it('keeps what is there where the boot partition is full', async () => {
    await newBoot(['layout=other', 'initrd_generator=mkimg']);
    const old = join(machine.bootRoot, `initrd.img-${system.kernelVersion}`);
    const script = `mount -t tmpfs -o size=2M tmpfs '${machine.bootRoot}' && echo old > '${old}' && "$@"; code=$?; cat '${old}'; ls '${machine.bootRoot}' | wc -l; exit $code`;
    const { code, stdout } = await inNamespace(script, [
      plugin,
      'add',
      system.kernelVersion,
      entry(),
      system.kernel,
    ]);
    expect([code, stdout]).toEqual([1, 'old\n1\n']);
  });

  it('lets the old initrd stand whenever it is killed', async () => {
    await newBoot(['layout=other', 'initrd_generator=mkimg']);
    expect((await kernelInstall(machine, add())).code).toBe(0);
    await killAtRandom(10);
  });

  async function inNamespace(
    script: string,
    argv: readonly string[],
  ): Promise<{ code: number; stdout: string }> {
    const { root } = system;
    const { exitCode, stdout } = await runProgram({
      argv: ['unshare', '--mount', 'sh', '-c', script, 'sh', ...argv],
      env: {
        ...{ PATH: process.env['PATH'] ?? '', KERNEL_INSTALL_MKIMG: mkimgProgram },
        ...{ KERNEL_INSTALL_INITRD_GENERATOR: 'mkimg', KERNEL_INSTALL_LAYOUT: 'other' },
        KERNEL_INSTALL_BOOT_ROOT: machine.bootRoot,
        KERNEL_INSTALL_MKIMG_OPTIONS: `--root=${root} --generic --cache-directory=${machine.cache}`,
      },
      stdout: 'capture',
      events: silentEvents,
    });
    return { code: exitCode ?? 128, stdout };
  }

  /** Changes the modules' index each time, so that there is work to do, and kills the whole of it in the middle. */
  async function killAtRandom(times: number): Promise<void> {
    const [name = ''] = await readdir(machine.bootRoot);
    const file = join(machine.bootRoot, name);
    const index = join(system.root, 'usr/lib/modules', system.kernelVersion, 'modules.order');
    for (let time = 0; time < times; time++) {
      await utimes(index, time, time);
      await rm(join(machine.cache, 'initrd/segments'), { recursive: true, force: true });
      const child = spawn(plugin, ['add', system.kernelVersion, entry(), system.kernel], {
        detached: true,
        stdio: 'ignore',
        env: {
          ...{ KERNEL_INSTALL_MKIMG: mkimgProgram, KERNEL_INSTALL_INITRD_GENERATOR: 'mkimg' },
          ...{ KERNEL_INSTALL_LAYOUT: 'other', KERNEL_INSTALL_BOOT_ROOT: machine.bootRoot },
          KERNEL_INSTALL_MKIMG_OPTIONS: `--root=${system.root} --generic --cache-directory=${machine.cache}`,
        },
      });
      const ended = new Promise((done) => child.once('exit', done));
      await Promise.race([sleep(Math.random() * 2500), ended]);
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
      await ended;
      expect((await mkimg(['initrd', 'check', file])).code).toBe(0);
    }
    expect((await kernelInstall(machine, add())).code).toBe(0);
    expect(await readdir(machine.bootRoot)).toEqual([name]);
    const remains = await readdir(join(machine.cache, 'initrd'));
    expect(remains.filter((entryName) => entryName.startsWith('.'))).toEqual([]);
  }

  it('may run twice at the same time', async () => {
    await newBoot(['layout=other', 'initrd_generator=mkimg']);
    await rm(join(machine.cache, 'initrd'), { recursive: true });
    const [first, second] = await Promise.all([kernelInstall(machine, add()), kernelInstall(machine, add())]);
    expect([first.code, second.code], first.stderr + second.stderr).toEqual([0, 0]);
    expect(await readdir(machine.bootRoot)).toHaveLength(1);
  });
});
