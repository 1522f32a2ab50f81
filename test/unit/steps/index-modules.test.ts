import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPath } from '../../../src/base/brand.ts';
import { hostPath } from '../../../src/base/brand.ts';
import { sha256 } from '../../../src/base/canonical.ts';
import type { TemporaryDirectory } from '../../../src/base/temporary.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import type { ResolvedPackage } from '../../../src/distro/resolved.ts';
import { formatResolvedPackages } from '../../../src/distro/resolved.ts';
import type { RunRequest } from '../../../src/sandbox/types.ts';
import { depmod } from '../../../src/steps/depmod.ts';
import type { BuildContext, PartStore } from '../../../src/steps/implementation.ts';
import { indexModules } from '../../../src/steps/index-modules.ts';
import { toolFreeContext } from './step-context.ts';

let scratch: TemporaryDirectory;
let runs: RunRequest[];

beforeEach(async () => {
  scratch = await temporaryDirectory(tmpdir(), 'mkimg-index-modules-');
  runs = [];
});

afterEach(() => scratch[Symbol.asyncDispose]());

async function write(path: string, content = ''): Promise<void> {
  const target = join(scratch.path, path);
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, content);
}

function entry(name: string): ResolvedPackage {
  return {
    ...{ name, version: '1', architecture: 'amd64', urls: ['file:/a.deb'], size: 1, sha256: sha256(name) },
    ...{ essential: false, base: false, source: { name, version: '1' }, relations: {} },
  };
}

/** Extracted packages stand in scratch/NAME; all else is made once, and found by its identity afterwards. */
function parts(names: readonly string[]): PartStore {
  const made = new Map<string, HostPath>();
  return {
    obtain: async (wanted, make) => {
      const known = wanted.map((part) => {
        const name = names.find((other) => part.label === `package ${other} 1`);
        const path = name === undefined ? made.get(JSON.stringify(part)) : join(scratch.path, name);
        return path === undefined ? undefined : hostPath(path);
      });
      const missing = wanted.filter((_, index) => known[index] === undefined);
      const fresh = missing.length === 0 ? [] : [...(await make(missing, () => undefined))];
      for (const [index, part] of missing.entries()) {
        const path = fresh[index];
        if (path !== undefined) made.set(JSON.stringify(part), path);
      }
      return wanted.flatMap((part, index) => known[index] ?? made.get(JSON.stringify(part)) ?? []);
    },
  };
}

/** depmod is played: it leaves one index in the directory that it may write to. */
async function contextFor(store: PartStore): Promise<BuildContext> {
  const { context } = await toolFreeContext(scratch.path);
  return {
    ...context,
    parts: store,
    sandbox: {
      ...context.sandbox,
      run: async (request) => {
        runs.push(request);
        const writable = request.mounts?.find(({ mode }) => mode === 'rw');
        await writeFile(join(writable?.source ?? '', 'modules.dep'), 'kernel/a.ko:\n');
        return { exitCode: 0, stdout: '' };
      },
    },
  };
}

async function index(context: BuildContext, names: readonly string[]): Promise<string> {
  await write('extracted', formatResolvedPackages(names.map(entry)));
  const target = hostPath(join(scratch.path, 'target'));
  const extracted = { path: hostPath(join(scratch.path, 'extracted')), meta: null };
  await indexModules.run({ extracted }, target, context);
  return readFile(target, 'utf8');
}

const directory = 'usr/lib/modules/6.1';

describe('index-modules', () => {
  it('makes the indexes that the tree of the packages needs, where the kernel stands beside the modules', async () => {
    await write(`linux/data/${directory}/kernel/a.ko`, 'a');
    await write(`linux/data/${directory}/modules.order`, 'kernel/a.ko\n');
    await write('kmod/data/lib/depmod.d/search.conf', 'search updates');
    const context = await contextFor(parts(['linux', 'kmod', 'other']));
    expect(await index(context, ['linux', 'kmod', 'other'])).toBe('6.1\n');
    await write(`tree/${directory}/kernel/a.ko`, 'a');
    await write(`tree/${directory}/modules.order`, 'kernel/a.ko\n');
    await write(`tree/${directory}/vmlinuz`, 'moved there');
    await write('tree/usr/lib/depmod.d/search.conf', 'search updates');
    const root = hostPath(join(scratch.path, 'tree'));
    await depmod.run({ base: { root } }, root, context);
    expect(runs.map(({ argv }) => argv)).toEqual([
      ['-C', '/depmod.d/usr-lib-depmod.d', '-a', '-b', '/buildroot', '6.1'],
    ]);
    expect(await readFile(join(root, directory, 'modules.dep'), 'utf8')).toBe('kernel/a.ko:\n');
  });

  it.each([
    ['modules', [`linux/data/${directory}/kernel/a.ko`, `extra/data/${directory}/kernel/b.ko`]],
    [
      'configuration',
      [
        `linux/data/${directory}/kernel/a.ko`,
        'kmod/data/etc/depmod.d/1.conf',
        'extra/data/etc/depmod.d/2.conf',
      ],
    ],
  ])('leaves kernels alone whose %s several packages have', async (_what, files) => {
    for (const file of files) await write(file);
    for (const name of ['linux', 'kmod', 'extra'])
      await mkdir(join(scratch.path, name, 'data'), { recursive: true });
    const names = ['linux', 'kmod', 'extra'];
    expect(await index(await contextFor(parts(names)), names)).toBe('');
    expect(runs).toEqual([]);
  });

  it('makes them again for other modules than those of the package', async () => {
    await write(`linux/data/${directory}/kernel/a.ko`, 'a');
    const store = parts(['linux']);
    await index(await contextFor(store), ['linux']);
    await write(`tree/${directory}/kernel/a.ko`, 'a');
    await write(`tree/${directory}/updates/b.ko`, 'from a script');
    const root = hostPath(join(scratch.path, 'tree'));
    await depmod.run({ base: { root } }, root, await contextFor(store));
    expect(runs).toHaveLength(2);
  });
});
