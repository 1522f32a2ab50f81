/** What a kernel's hook can rely on: no network, no cache, no indexes; only what is installed. */
import { appendFile, chmod, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import type { Inspection } from '../../src/initrd/inspect.ts';
import type { CliResult } from '../helpers/cli.ts';
import { mkimg } from '../helpers/cli.ts';
import type { System } from '../helpers/kernel-install.ts';
import { buildSystem } from '../helpers/kernel-install.ts';
import { isRoot } from '../helpers/ordinary-user.ts';
import { buildTools } from '../helpers/tools.ts';

let scratch: TemporaryDirectory;
let system: System;
let tools: string;

beforeAll(async () => {
  scratch = await temporaryDirectory('/var/tmp', 'test-offline-');
  await chmod(scratch.path, 0o755);
  const made = await buildTools();
  if (made.kind !== 'tree') throw new Error('no tools tree');
  tools = made.path;
  system = await buildSystem(scratch.path);
});
afterAll(() => scratch[Symbol.asyncDispose]());

const output = (): string => join(scratch.path, 'initrd');
const cacheHome = (): string => join(scratch.path, 'cache-home');

async function offline(argv: readonly string[]): Promise<CliResult> {
  return mkimg(argv, { prefix: ['unshare', '--net'], env: { XDG_CACHE_HOME: cacheHome() } });
}

describe.skipIf(!isRoot)('mkimg initrd without a network (needs root to take it away)', () => {
  let made: CliResult;
  beforeAll(async () => {
    await appendFile(join(system.root, 'usr/bin/kmod'), 'changed');
    await mkdir(cacheHome());
    const { root, kernelVersion } = system;
    made = await offline([
      ...['initrd', '--generic', `--root=${root}`, `--kernel-version=${kernelVersion}`],
      ...[`--output=${output()}`, `--tools-tree=${tools}`],
    ]);
  });

  it('makes an initrd of what is installed, and says what it lacks', async () => {
    expect(made.code, made.stderr).toBe(0);
    expect(made.stderr).toMatch(/Left out, because they are neither installed nor to be had: .*dosfstools/);
    expect(await readdir(join(cacheHome(), 'mkimg/packages'))).toEqual([]);
    const { code, stdout } = await offline(['initrd', 'check', output()]);
    expect(code, stdout).toBe(0);
  });

  it('takes every installed package, and marks the one whose files were changed', async () => {
    const { stdout } = await offline(['inspect', '--json', output()]);
    const { packages } = JSON.parse(stdout) as Inspection;
    const status = await readFile(join(system.root, 'var/lib/dpkg/status'), 'utf8');
    const installed = [...status.matchAll(/^Package: (.*)\n(?:.+\n)*?Version: (.*)$/gm)];
    const versions = new Map(installed.map(([, name = '', version = '']) => [name, version]));
    expect(packages.map(({ name }) => name)).toEqual(expect.arrayContaining(['systemd', 'udev', 'kmod']));
    expect(packages.filter(({ name, version }) => versions.get(name) !== version)).toEqual([]);
    const manifests = join(cacheHome(), 'mkimg/initrd/segments');
    const [base = ''] = (await readdir(manifests)).filter((name) => name.startsWith('base-'));
    const text = await readFile(join(manifests, base, 'manifest.json'), 'utf8');
    const { content } = JSON.parse(text) as {
      content: { packages: { name: string; installed?: { modified: string[]; missing: string[] } }[] };
    };
    const changed = content.packages.filter(({ installed: files }) => (files?.modified.length ?? 0) > 0);
    expect(changed).toMatchObject([{ name: 'kmod', installed: { modified: ['usr/bin/kmod'] } }]);
  });

  it('makes nothing again on --refresh, and says nothing', async () => {
    const segments = join(cacheHome(), 'mkimg/initrd/segments');
    const before = await readdir(segments);
    const { code, stderr, events } = await offline(['initrd', '--refresh']);
    expect([code, stderr]).toEqual([0, '']);
    expect(events.filter(({ type }) => type === 'step-started' || type === 'artifact')).toEqual([]);
    expect(await readdir(segments)).toEqual(before);
  });
});
