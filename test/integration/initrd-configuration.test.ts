/** Where the configuration of a system's initrds comes from, and what wins. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import type { CliResult } from '../helpers/cli.ts';
import { mkimg } from '../helpers/cli.ts';
import type { System } from '../helpers/kernel-install.ts';
import { buildSystem, ownInitrdCache } from '../helpers/kernel-install.ts';

let scratch: TemporaryDirectory;
let system: System;
let cache: string;

beforeAll(async () => {
  scratch = await temporaryDirectory('/var/tmp', 'test-initrd-configuration-');
  system = await buildSystem(scratch.path);
  cache = await ownInitrdCache(join(scratch.path, 'cache'));
});
afterAll(() => scratch[Symbol.asyncDispose]());

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    const file = join(system.root, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
}

const output = (): string => join(scratch.path, 'initrd');

function make(flags: readonly string[] = []): Promise<CliResult> {
  const { root, kernelVersion } = system;
  return mkimg([
    ...['initrd', '--generic', `--root=${root}`, `--kernel-version=${kernelVersion}`],
    ...['--format=directory', `--output=${output()}`, `--cache-directory=${cache}`, ...flags],
  ]);
}

async function made(...flags: readonly string[]): Promise<void> {
  const { code, stderr } = await make(flags);
  expect(code, stderr).toBe(0);
}

const read = (path: string): Promise<string> => readFile(join(output(), path), 'utf8');

/** In this order, as docs/initrd.md has it. */
const directories = ['usr/lib', 'usr/local/lib', 'run', 'etc'].map((path) => `${path}/mkimg-initrd`);

describe('the configuration of initrds', () => {
  beforeAll(async () => {
    for (const directory of directories) {
      const name = directory.replaceAll('/', '-');
      await write({
        [`${directory}/mkimg.conf`]: `[Content]\nHostname=${name}\nKernelInitrdModules=default ${name}\n`,
        [`${directory}/mkimg.extra/etc/whose`]: name,
        [`${directory}/mkimg.extra/etc/from-${name}`]: '',
      });
    }
    await made();
  });

  it('comes from four directories, of which the later ones win', async () => {
    expect(await read('etc/hostname')).toBe('etc-mkimg-initrd\n');
    expect(await read('etc/whose')).toBe('etc-mkimg-initrd');
    for (const directory of directories)
      expect(await read(`etc/from-${directory.replaceAll('/', '-')}`)).toBe('');
  });

  it('is read again when files of it come and go, drop-ins after the file that they belong to', async () => {
    await write({ 'usr/lib/mkimg-initrd/mkimg.conf.d/50-host.conf': '[Content]\nHostname=vendor\n' });
    await rm(join(system.root, 'etc/mkimg-initrd'), { recursive: true });
    await rm(join(system.root, 'run/mkimg-initrd'), { recursive: true });
    await rm(join(system.root, 'usr/local/lib/mkimg-initrd'), { recursive: true });
    await made();
    expect([await read('etc/hostname'), await read('etc/whose')]).toEqual([
      'vendor\n',
      'usr-lib-mkimg-initrd',
    ]);
  });

  it('may hold profiles of its own', async () => {
    await write({ 'etc/mkimg-initrd/mkimg.profiles/site.conf': '[Content]\nHostname=on-site\n' });
    await made('--profile=site');
    expect([await read('etc/hostname'), await read('etc/whose')]).toEqual([
      'on-site\n',
      'usr-lib-mkimg-initrd',
    ]);
  });

  it('stops an initrd where it is wrong, and says in which line', async () => {
    const before = await read('etc/hostname');
    await write({ 'etc/mkimg-initrd/mkimg.conf': '[Content]\nHostnam=typo\n' });
    const { code, stderr } = await make();
    expect(code).toBe(2);
    expect(stderr).toContain(`${system.root}/etc/mkimg-initrd/mkimg.conf:2:1: error:`);
    expect(stderr).toContain('Hostname');
    expect(await read('etc/hostname')).toBe(before);
  });
});
