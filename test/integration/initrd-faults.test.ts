/** What can go wrong around an initrd of a running system, seen from outside: the boot partition, the cache, the modules. */
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/base/canonical.ts';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import type { CliOptions, CliResult } from '../helpers/cli.ts';
import { mkimg, mkimgProgram } from '../helpers/cli.ts';
import type { HookMachine, HookRun, System } from '../helpers/kernel-install.ts';
import { configure, hookMachine, kernelInstall } from '../helpers/kernel-install.ts';
import { flipBits } from '../helpers/segment-damage.ts';

let scratch: TemporaryDirectory;
let system: System;
let machine: HookMachine;
/** Digest of the initrd that an undisturbed machine gets. */
let wanted: string;

beforeAll(async () => {
  scratch = await temporaryDirectory('/var/tmp', 'test-initrd-faults-');
  machine = await hookMachine(scratch.path);
  ({ system } = machine);
  const { code, stderr } = await hook();
  expect(code, stderr).toBe(0);
  wanted = await digestOf(bootFile());
});
afterAll(() => scratch[Symbol.asyncDispose]());

function bootFile(version = system.kernelVersion): string {
  return join(machine.bootRoot, `initrd.img-${version}`);
}

function modulesOf(version = system.kernelVersion): string {
  return join(system.root, 'usr/lib/modules', version);
}

async function digestOf(file: string): Promise<string> {
  return sha256(await readFile(file));
}

/** kernel-install of the system, for one of its kernels. */
function hook(changes: Partial<HookMachine> = {}, version = system.kernelVersion): Promise<HookRun> {
  return kernelInstall({ ...machine, ...changes }, ['add', version, system.kernel]);
}

/** So that the modules have to be looked at again. */
async function touchModules(): Promise<void> {
  const now = new Date();
  await utimes(join(modulesOf(), 'modules.order'), now, now);
}

function makeInitrd(
  output: string,
  flags: readonly string[] = [],
  options: CliOptions = {},
): Promise<CliResult> {
  const where = [`--root=${system.root}`, `--kernel-version=${system.kernelVersion}`, `--output=${output}`];
  return mkimg(['initrd', ...where, '--generic', `--cache-directory=${machine.cache}`, ...flags], options);
}

const segments = (): string => join(machine.cache, 'initrd/segments');

/** What only exists while something is made. */
async function remains(): Promise<readonly string[]> {
  const names = await readdir(join(machine.cache, 'initrd'), { recursive: true });
  return [...names, ...(await readdir(machine.bootRoot))].filter((name) =>
    /(?:^|\/)\.|\.tmp|locks\//.test(name),
  );
}

describe('a boot partition', () => {
  /** A boot partition of its own with an initrd, of which is told at the end. */
  const boot = (size: number, ...more: readonly string[]): NonNullable<HookMachine['around']> => ({
    before: [
      `mount -t tmpfs -o size=${size} tmpfs '${machine.bootRoot}' && echo old >'${bootFile()}'`,
      ...more,
    ].join('\n'),
    after: `echo "holds $(cat '${bootFile()}'), $(ls -I rival '${machine.bootRoot}' | wc -l) file" >&2`,
  });

  it('that is full gets nothing, and keeps what it has', async () => {
    await touchModules();
    const { code, stderr } = await hook({ around: boot(4 << 20) });
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(/has \d+\.\d MiB free, and \d+\.\d MiB are needed/);
    expect(stderr).toContain('Remove kernels that are no longer needed');
    expect(stderr).toContain('holds old, 1 file');
  });

  it('that fills up in the middle of writing keeps what it has', async () => {
    const { size } = await stat(bootFile());
    // As soon as something is written, something else takes of the space. On a busy machine it may come too late.
    const rival = `(until set -- '${machine.bootRoot}'/*tmp && [ -e "$1" ]; do :; done
      fallocate -l 4M '${machine.bootRoot}/rival') 2>/dev/null &`;
    const attempt = (): ReturnType<typeof hook> => hook({ around: boot(size + (3 << 20), rival) });
    let result = await attempt();
    for (let turn = 1; turn < 10 && result.code === 0; turn += 1) result = await attempt();
    const { code, stderr } = result;
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(/has \d+\.\d MiB free, and \d+\.\d MiB are needed/);
    expect(stderr).toContain('holds old, 1 file');
  });
});

describe('a cache', () => {
  const output = (): string => join(scratch.path, 'made');
  beforeEach(() => rm(output(), { force: true }));

  it('whose parts lost a bit is not believed, and mended', async () => {
    for (const file of ['initrd', 'outline.cpio'] as const) {
      await flipBits(join(machine.cache, 'initrd'), file);
      const { code, stderr } = await makeInitrd(output());
      expect(code, stderr).toBe(0);
      expect(stderr).toContain('is not what was stored: it is made again');
      expect(await digestOf(output())).toBe(wanted);
      await rm(output());
    }
    const again = await makeInitrd(output());
    expect([again.code, again.stderr]).not.toContain('is not what was stored');
  });

  it('whose parts lost a bit leads to no boot loader entry with it', async () => {
    const configuration = join(scratch.path, 'kernel-bls');
    const around = {
      before: `mount -t tmpfs tmpfs '${machine.bootRoot}' && mkdir -p '${machine.bootRoot}/3e0484f3634a418b8e6a39e8828b03e3'`,
      after: `cat '${machine.bootRoot}'/*/*/initrd-10-base | sha256sum >&2`,
    };
    const bls = { ...machine, configuration, around };
    await configure(bls, ['layout=bls', 'initrd_generator=mkimg']);
    const [base = ''] = (await readdir(segments())).filter((name) => name.startsWith('base-'));
    const sound = await digestOf(join(segments(), base, 'initrd'));
    await flipBits(join(machine.cache, 'initrd'), 'initrd');
    const { code, stderr } = await kernelInstall(bls, ['add', system.kernelVersion, system.kernel]);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('is not what was stored: it is made again');
    expect(stderr).toContain(sound);
  });

  it.each([
    ['null', () => 'null'],
    ['another type', () => '{"watched":1,"sightings":[],"segment":"x"}'],
    ['half of it', (text: string) => text.slice(0, text.length / 2)],
    ['a digest that is none', (text: string) => text.replaceAll('"sha256":"', '"sha256":"g')],
  ])('whose records are %s is asked no more', async (_, damaged) => {
    for (const kind of ['records', 'standing']) {
      const directory = join(machine.cache, 'initrd', kind);
      for (const name of await readdir(directory)) {
        const file = join(directory, name);
        await writeFile(file, damaged(await readFile(file, 'utf8')));
      }
    }
    const refreshed = await mkimg(['initrd', '--refresh', `--cache-directory=${machine.cache}`]);
    expect(refreshed.code, refreshed.stderr).toBe(0);
    const { code, stderr } = await makeInitrd(output());
    expect(code, stderr).toBe(0);
    expect(await digestOf(output())).toBe(wanted);
  });

  it('that is read-only is done without', async () => {
    await touchModules();
    await rm(bootFile());
    const before = `mount --bind '${machine.cache}' '${machine.cache}' && mount -o remount,bind,ro '${machine.cache}'`;
    const { code, stderr } = await hook({ around: { before, after: 'ls -d /tmp/mkimg-cache-* >&2' } });
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(`Nothing can be written to ${machine.cache}/initrd: the initrd was made in /`);
    expect(stderr).toContain('No such file or directory');
    expect(await digestOf(bootFile())).toBe(wanted);
  });

  it('on a full disk is done without', async () => {
    await rm(bootFile());
    const directory = join(machine.cache, 'initrd');
    const before = `mount -t tmpfs -o size=1M,mode=700 tmpfs '${directory}' && ! head -c 2M /dev/zero >'${directory}/other' 2>/dev/null`;
    const { code, stderr } = await hook({ around: { before, after: `ls -A '${directory}' >&2` } });
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(`Nothing can be written to ${machine.cache}/initrd: the initrd was made in /`);
    expect(await digestOf(bootFile())).toBe(wanted);
  });
});

describe('several kernels', () => {
  const others = Array.from({ length: 19 }, (_, number) => `6.12.${number + 1}-test`);
  beforeAll(() => {
    for (const version of others) spawnSync('cp', ['-a', '--reflink=auto', modulesOf(), modulesOf(version)]);
  });

  it('may be installed at once', async () => {
    await rm(join(machine.cache, 'initrd'), { recursive: true });
    for (const name of await readdir(machine.bootRoot)) await rm(join(machine.bootRoot, name));
    const versions = [system.kernelVersion, system.kernelVersion, ...others.slice(0, 2)];
    const runs = await Promise.all(versions.map((version) => hook({}, version)));
    for (const { code, stderr } of runs) expect(code, stderr).toBe(0);
    expect(await digestOf(bootFile())).toBe(wanted);
    expect((await readdir(machine.bootRoot)).sort()).toEqual(
      [...new Set(versions)].map((version) => `initrd.img-${version}`).sort(),
    );
    expect(await remains()).toEqual([]);
  });

  it('share the base, twenty of them too', async () => {
    const started = performance.now();
    for (const version of others) expect(await hook({}, version)).toMatchObject({ code: 0 });
    const seconds = (performance.now() - started) / 1000;
    const names = await readdir(segments());
    expect(names.filter((name) => name.startsWith('base-'))).toHaveLength(1);
    expect(names.filter((name) => name.startsWith('modules-'))).toHaveLength(20);
    const [kibibytes = ''] = spawnSync('du', ['-sk', segments()], { encoding: 'utf8' }).stdout.split('\t');
    // Twenty initrds of some 35 MiB share two thirds of each.
    expect(Number(kibibytes)).toBeLessThan(350 << 10);
    console.log(
      `twenty kernels: ${seconds.toFixed(1)} s, ${Math.round(Number(kibibytes) / 1024)} MiB of parts`,
    );
    const refreshed = await mkimg(['initrd', '--refresh', `--cache-directory=${machine.cache}`]);
    expect([refreshed.code, refreshed.stderr]).toEqual([0, expect.not.stringContaining('built')]);
  });
});

describe('modules', () => {
  const output = (): string => join(scratch.path, 'with-modules');

  async function without(names: readonly string[], look: () => Promise<void>): Promise<void> {
    const [away, back] = [join(scratch.path, 'away'), modulesOf()];
    await mkdir(away, { recursive: true });
    for (const name of names) await rename(join(back, name), join(away, name));
    try {
      await look();
    } finally {
      for (const name of names) await rename(join(away, name), join(back, name));
    }
  }

  async function pathsIn(file: string): Promise<readonly string[]> {
    const { stdout } = await mkimg(['inspect', '--json', '--files', file]);
    return (JSON.parse(stdout) as { files: { path: string }[] }).files.map(({ path }) => path).sort();
  }

  it('are known by binary indexes alone', async () => {
    await without(['modules.dep', 'modules.alias', 'modules.symbols'], async () => {
      const { code, stderr } = await makeInitrd(output());
      expect(code, stderr).toBe(0);
    });
    const usual = (await pathsIn(bootFile())).filter((path) => path.includes('/kernel/'));
    expect((await pathsIn(output())).filter((path) => path.includes('/kernel/'))).toEqual(usual);
  });

  it('are found in the initrd where there are only text indexes', async () => {
    const binary = ['dep', 'alias', 'symbols', 'builtin', 'builtin.alias'].map(
      (name) => `modules.${name}.bin`,
    );
    await without(binary, async () => {
      const { code, stderr } = await makeInitrd(output());
      expect(code, stderr).toBe(0);
    });
    const directory = `usr/lib/modules/${system.kernelVersion}`;
    const paths = await pathsIn(output());
    for (const name of binary.slice(0, 3)) expect(paths).toContain(`${directory}/${name}`);
  });

  it('without any index are an error that says what to do', async () => {
    await without(['modules.dep', 'modules.dep.bin'], async () => {
      const { code, stderr } = await makeInitrd(output());
      expect([code, stderr]).toEqual([1, expect.stringContaining(`depmod ${system.kernelVersion}`)]);
    });
  });

  it.each([
    ['truncated', (content: Buffer) => content.subarray(0, content.length / 2)],
    ['garbage', () => Buffer.from('no module at all')],
    ['empty', () => Buffer.alloc(0)],
  ])('that are %s are named, and nothing is made', async (_, damaged) => {
    const path = 'kernel/drivers/nvme/host/nvme.ko.xz';
    const file = join(modulesOf(), path);
    const good = await readFile(file);
    await rm(output(), { force: true });
    try {
      await rm(file);
      await writeFile(file, damaged(good));
      await touchModules();
      const { code, stderr } = await makeInitrd(output());
      expect([code, stderr]).toEqual([1, expect.stringContaining(path)]);
      await expect(stat(output())).rejects.toThrow('ENOENT');
    } finally {
      await rm(file);
      await writeFile(file, good);
      await touchModules();
    }
  });

  it('that are compressed as the kernel does not know are named', async () => {
    const index = join(modulesOf(), 'modules.dep');
    const text = await readFile(index, 'utf8');
    try {
      await writeFile(index, text.replaceAll('host/nvme.ko.xz', 'host/nvme.ko.lz4'));
      const { code, stderr } = await makeInitrd(output());
      expect([code, stderr]).toEqual([1, expect.stringContaining('nvme.ko.lz4')]);
    } finally {
      await writeFile(index, text);
    }
  });
});

describe('a hostile environment', () => {
  const output = (): string => join(scratch.path, 'hostile');
  const initrd = (): string =>
    [
      ...[process.execPath, mkimgProgram, 'initrd', `--root=${system.root}`, '--generic'],
      ...[`--kernel-version=${system.kernelVersion}`, `--output=${output()}`, '-f'],
      `--cache-directory=${machine.cache}`,
    ].join(' ');

  it.each([
    ['a working directory that is gone', (run: string) => `mkdir gone; cd gone; rmdir ../gone; ${run}`],
    ['the root as working directory', (run: string) => `cd /; ${run}`],
    ['no environment at all', (run: string) => `env -i ${run}`],
    ['empty PATH and HOME', (run: string) => `env -i PATH= HOME= ${run}`],
    ['a directory for temporary files that is not there', (run: string) => `TMPDIR=/nowhere ${run}`],
    ['a read-only directory for temporary files', (run: string) => `TMPDIR=/proc ${run}`],
    ['no standard input', (run: string) => `${run} <&-`],
    ['no standard output', (run: string) => `${run} >&-`],
    ['no standard streams', (run: string) => `${run} <&- >&- 2>&-`],
    ['umask 077', (run: string) => `umask 077; ${run}`],
    ['umask 000', (run: string) => `umask 000; ${run}`],
    ['a Turkish locale', (run: string) => `LANG=tr_TR.UTF-8 LC_ALL=tr_TR.UTF-8 ${run}`],
    ['another time zone', (run: string) => `TZ=Pacific/Kiritimati ${run}`],
  ])('with %s changes nothing', async (_, script) => {
    await rm(output(), { force: true });
    const { status, stderr } = spawnSync('sh', ['-c', script(initrd())], {
      cwd: scratch.path,
      encoding: 'utf8',
    });
    expect(status, stderr).toBe(0);
    expect(await digestOf(output())).toBe(wanted);
    expect((await stat(output())).mode & 0o777).toBe(0o600);
  });

  it('whose reader is gone ends as a pipe does, and leaves nothing', async () => {
    await rm(output(), { force: true });
    const script = `(${initrd()} 2>&1; echo $? >code) | :; cat code`;
    const { stdout } = spawnSync('sh', ['-c', script], { cwd: scratch.path, encoding: 'utf8' });
    expect(['0\n', '141\n']).toContain(stdout);
    expect((await readdir(scratch.path)).filter((name) => name.startsWith('hostile.'))).toEqual([]);
  });
});
