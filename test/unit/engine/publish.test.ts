import {
  chmod,
  cp,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hostPath, imageName } from '../../../src/base/brand.ts';
import { sha256 } from '../../../src/base/canonical.ts';
import type { PublishTargets } from '../../../src/engine/build.ts';
import { build, foresee } from '../../../src/engine/build.ts';
import type { AnyFileStep, AnyTreeStep, EngineEnvironment } from '../../../src/engine/environment.ts';
import { currentOwner, formatOwner } from '../../../src/base/owner.ts';
import type { PublishTarget } from '../../../src/engine/publish.ts';
import { prepareOutputDirectory } from '../../../src/engine/publish.ts';
import type { Plan } from '../../../src/plan/step.ts';
import type { TestCache } from './fixtures.ts';
import { catalogueOf, planOf, recordedEvents, ref, step, testCache, testEnvironment } from './fixtures.ts';

const text: AnyFileStep = {
  output: 'file',
  version: 1,
  tools: [],
  run: (inputs, target) => writeFile(target, (inputs as { text: string }).text).then(() => undefined),
};

/** A sparse file of 65 MiB, large enough to be moved. */
const disk: AnyFileStep = {
  output: 'file',
  version: 1,
  tools: [],
  run: async (inputs, target) => {
    await writeFile(target, (inputs as { text: string }).text);
    await truncate(target, 65 << 20);
    return undefined;
  },
};

const kernels: AnyFileStep = {
  output: 'files',
  version: 1,
  tools: [],
  run: async (inputs, target) => {
    await mkdir(target);
    for (const name of (inputs as { names: readonly string[] }).names)
      await writeFile(join(target, name), name);
    return undefined;
  },
};

const tree: AnyTreeStep = {
  output: 'tree',
  version: 1,
  tools: [],
  run: (inputs, root) => writeFile(join(root, (inputs as { name: string }).name), ''),
};

const catalogue = catalogueOf({
  compress: text,
  'build-disk': disk,
  'extract-kernels': kernels,
  'pack-directory': tree,
  'resolve-packages': { ...text, contentKeyed: true },
});

interface Project {
  readonly directory: string;
  readonly target: PublishTarget;
  readonly environment: EngineEnvironment;
  readonly events: ReturnType<typeof recordedEvents>;
  /** How many steps ran. */
  readonly build: (plan: Plan, options?: { renew?: boolean }) => Promise<number>;
  readonly isUpToDate: (plan: Plan) => Promise<boolean>;
}

async function project(cache: TestCache, options: Partial<PublishTarget> = {}): Promise<Project> {
  const directory = hostPath(join(cache.path, 'output'));
  await prepareOutputDirectory(directory);
  const events = recordedEvents();
  const target = { directory, mode: 0o640, checksumFile: undefined, replaceForeign: false, ...options };
  const environment = await testEnvironment(cache, { catalogue, events });
  return {
    ...{ directory, target, environment, events },
    build: async (plan, { renew = false } = {}) => {
      const copyTree = (source: string, to: string): Promise<void> => cp(source, to, { recursive: true });
      return (await build(plan, environment, { targets: targetsOf(target), copyTree, renew })).execution.times
        .ran;
    },
    isUpToDate: async (plan) => (await foresee(plan, environment, targetsOf(target))).upToDate,
  };
}

const targetsOf = (target: PublishTarget): PublishTargets => new Map([[imageName('main'), target]]);

const filePlan = (content: string): Plan =>
  planOf(
    [step('main/compress', 'compress', { text: content })],
    [{ from: ref('main/compress', 'file'), name: 'out' }],
  );

const diskPlan = (content: string): Plan =>
  planOf(
    [step('main/build-disk', 'build-disk', { text: content })],
    [{ from: ref('main/build-disk', 'file'), name: 'image.raw', link: 'image' }],
  );

describe('publishing a file', () => {
  test('puts it there with its mode, says so, and the second time has nothing to do', async () => {
    await using cache = await testCache();
    const { directory, build: run, isUpToDate, events } = await project(cache);
    expect(await isUpToDate(filePlan('one'))).toBe(false);
    expect(await run(filePlan('one'))).toBe(1);
    expect(await readFile(join(directory, 'out'), 'utf8')).toBe('one');
    expect((await stat(join(directory, 'out'))).mode & 0o777).toBe(0o640);
    expect(await isUpToDate(filePlan('one'))).toBe(true);
    expect(await isUpToDate(filePlan('two'))).toBe(false);
    expect(await run(filePlan('one'))).toBe(0);
    const artifacts = events.events.filter((event) => event.type === 'artifact');
    expect(artifacts.map(({ state, bytes }) => [state, bytes])).toEqual([
      ['built', 3],
      ['unchanged', 3],
    ]);
    expect(await readdir(directory)).toEqual(['out']);
  });

  test('notices when it is gone or was changed, and says what it replaces', async () => {
    await using cache = await testCache();
    const { directory, build: run, isUpToDate, events } = await project(cache);
    await run(filePlan('one'));
    await rm(join(directory, 'out'));
    expect(await isUpToDate(filePlan('one'))).toBe(false);
    expect(await run(filePlan('one'))).toBe(0);
    await writeFile(join(directory, 'out'), 'mine');
    expect(await isUpToDate(filePlan('one'))).toBe(false);
    await run(filePlan('one'));
    expect(await readFile(join(directory, 'out'), 'utf8')).toBe('one');
    expect(events.events.filter((event) => event.type === 'note').map(({ code }) => code)).toEqual([
      'output-modified',
    ]);
  });

  test('leaves the previous one when the new one cannot be made', async () => {
    await using cache = await testCache();
    const { directory, build: run, environment } = await project(cache);
    await run(filePlan('one'));
    const failing = { ...text, run: () => Promise.reject(new Error('no')) };
    Object.assign(environment, { catalogue: { ...catalogue, compress: failing } });
    await expect(run(filePlan('two'))).rejects.toThrow('no');
    expect(await readFile(join(directory, 'out'), 'utf8')).toBe('one');
    expect(await readdir(directory)).toEqual(['out']);
  });

  test('makes a changed mode so', async () => {
    await using cache = await testCache();
    await (await project(cache)).build(filePlan('one'));
    const open = await project(cache, { mode: 0o644 });
    expect(await open.isUpToDate(filePlan('one'))).toBe(false);
    await open.build(filePlan('one'));
    expect((await stat(join(open.directory, 'out'))).mode & 0o777).toBe(0o644);
  });
});

describe('publishing a large file', () => {
  test('moves it out of the store, and still knows it', async () => {
    await using cache = await testCache();
    const { directory, build: run, isUpToDate } = await project(cache);
    await run(diskPlan('one'));
    expect(await readlink(join(directory, 'image'))).toBe('image.raw');
    const [key = ''] = await cache.store.keys();
    expect(await readdir(join(cache.store.layout.store, key))).toEqual(['moved.json', 'record.json']);
    expect(await isUpToDate(diskPlan('one'))).toBe(true);
    // Publishing the same artifact again finds it in its place.
    expect(await run(diskPlan('one'), { renew: true })).toBe(0);
    await writeFile(join(directory, 'image.raw'), 'booted');
    expect(await run(diskPlan('one'))).toBe(1);
    expect((await stat(join(directory, 'image.raw'))).size).toBe(65 << 20);
  });

  test('copies it, holes left out, where it is needed twice', async () => {
    await using cache = await testCache();
    const { directory, build: run } = await project(cache);
    const plan = diskPlan('one');
    const outputs = plan.images.flatMap((image) => image.outputs);
    await run(planOf(plan.steps, [...outputs, { from: ref('main/build-disk', 'file'), name: 'second.raw' }]));
    const [first, second] = await Promise.all(
      ['image.raw', 'second.raw'].map((name) => lstat(join(directory, name))),
    );
    expect(first?.size).toBe(second?.size);
    expect(first?.blocks).toBeLessThan(10_000);
    expect(first?.ino).not.toBe(second?.ino);
  });
});

describe('publishing several files', () => {
  test('names each after its own, and removes those that went away', async () => {
    await using cache = await testCache();
    const { directory, build: run } = await project(cache, { checksumFile: 'out.SHA256SUMS' });
    const plan = (...names: readonly string[]): Plan =>
      planOf(
        [step('main/extract-kernels', 'extract-kernels', { names })],
        [{ from: ref('main/extract-kernels', 'files'), name: 'out' }],
      );
    await run(plan('6.1.vmlinuz', '6.12.vmlinuz'));
    expect(await readdir(directory)).toEqual(['out.6.1.vmlinuz', 'out.6.12.vmlinuz', 'out.SHA256SUMS']);
    await run(plan('6.12.vmlinuz'));
    expect(await readdir(directory)).toEqual(['out.6.12.vmlinuz', 'out.SHA256SUMS']);
    expect(await readFile(join(directory, 'out.SHA256SUMS'), 'utf8')).toBe(
      `${sha256('6.12.vmlinuz')} *out.6.12.vmlinuz\n`,
    );
  });

  test('writes the checksums again when they are gone', async () => {
    await using cache = await testCache();
    const { directory, build: run, isUpToDate } = await project(cache, { checksumFile: 'SHA256SUMS' });
    await run(filePlan('one'));
    await rm(join(directory, 'SHA256SUMS'));
    expect(await isUpToDate(filePlan('one'))).toBe(false);
    expect(await run(filePlan('one'))).toBe(0);
    expect(await readFile(join(directory, 'SHA256SUMS'), 'utf8')).toBe(`${sha256('one')} *out\n`);
    expect(await isUpToDate(filePlan('one'))).toBe(true);
  });
});

test('outputs change together: one that cannot be completed leaves all previous ones as they were', async () => {
  await using cache = await testCache();
  const checksumFile = 'out.SHA256SUMS';
  const { directory, environment, target } = await project(cache, { checksumFile });
  const plan = (content: string): Plan =>
    planOf(
      [
        step('main/compress', 'compress', { text: content }),
        step('main/pack-directory', 'pack-directory', { name: content }),
      ],
      [
        { from: ref('main/compress', 'file'), name: 'out' },
        { from: ref('main/pack-directory', 'tree'), name: 'first' },
        { from: ref('main/pack-directory', 'tree'), name: 'second' },
      ],
    );
  const copyTree = (source: string, to: string): Promise<void> => cp(source, to, { recursive: true });
  await build(plan('one'), environment, { targets: targetsOf(target), copyTree, renew: false });
  const names = (await readdir(directory)).sort();
  const sums = await readFile(join(directory, checksumFile), 'utf8');
  const stop = new AbortController();
  const interrupt = (): Promise<void> => {
    stop.abort();
    return Promise.reject(new Error('stopped'));
  };
  const interrupted = { ...environment, signal: stop.signal };
  const failing = build(plan('two'), interrupted, {
    targets: targetsOf(target),
    copyTree: interrupt,
    renew: false,
  });
  await expect(failing).rejects.toThrow();
  expect((await readdir(directory)).sort()).toEqual(names);
  expect(await readFile(join(directory, 'out'), 'utf8')).toBe('one');
  expect(await readFile(join(directory, checksumFile), 'utf8')).toBe(sums);
  expect(await readdir(join(directory, 'first'))).toEqual(['one']);
  await build(plan('two'), environment, { targets: targetsOf(target), copyTree, renew: false });
  expect(await readFile(join(directory, checksumFile), 'utf8')).toBe(`${sha256('two')} *out\n`);
});

test('an output that turns out to be made from the same is left alone', async () => {
  await using cache = await testCache();
  const { directory, build: run, events } = await project(cache);
  const plan = (content: string): Plan =>
    planOf(
      [
        step('main/build-disk', 'build-disk', { text: content }),
        step('main/resolve-packages', 'resolve-packages', {
          text: 'same',
          of: ref('main/build-disk', 'file'),
        }),
        step('main/compress', 'compress', { text: 'last', of: ref('main/resolve-packages', 'file') }),
      ],
      [{ from: ref('main/compress', 'file'), name: 'out' }],
    );
  expect(await run(plan('one'))).toBe(3);
  const before = await stat(join(directory, 'out'));
  // What the second step makes is the same again, which is not known before it ran.
  expect(await run(plan('two'))).toBe(2);
  expect((await stat(join(directory, 'out'))).ino).toBe(before.ino);
  const artifacts = events.events.filter((event) => event.type === 'artifact');
  expect(artifacts.map(({ state }) => state)).toEqual(['built', 'unchanged']);
});

describe('publishing a directory', () => {
  const treePlan = (name: string): Plan =>
    planOf(
      [step('main/pack-directory', 'pack-directory', { name })],
      [{ from: ref('main/pack-directory', 'tree'), name: 'image' }],
    );

  test('replaces the previous one of mkimg', async () => {
    await using cache = await testCache();
    const { directory, build: run } = await project(cache);
    await run(treePlan('one'));
    expect(await readdir(join(directory, 'image'))).toEqual(['one']);
    await run(treePlan('two'));
    expect(await readdir(join(directory, 'image'))).toEqual(['two']);
    expect(await readdir(directory)).toEqual(['image']);
  });

  test('gives way to the files and links of another format, and they to it', async () => {
    await using cache = await testCache();
    const { directory, build: run } = await project(cache);
    await run(treePlan('one'));
    await run(diskPlan('one'));
    expect(await readlink(join(directory, 'image'))).toBe('image.raw');
    await rm(join(directory, 'image.raw'));
    await run(treePlan('two'));
    expect(await readdir(join(directory, 'image'))).toEqual(['two']);
  });

  test('refuses to replace one of somebody else', async () => {
    await using cache = await testCache();
    const { directory, build: run } = await project(cache);
    await mkdir(join(directory, 'image'));
    await writeFile(join(directory, 'image/mine'), '');
    await expect(run(treePlan('one'))).rejects.toMatchObject({ code: 'output-exists' });
    expect(await readdir(join(directory, 'image'))).toEqual(['mine']);
    const forced = await project(cache, { replaceForeign: true });
    await forced.build(treePlan('one'));
    expect(await readdir(join(directory, 'image'))).toEqual(['one']);
  });
});

test('what a killed build left is cleared away, and a directory it had moved aside comes back', async () => {
  await using cache = await testCache();
  const { directory, build: run } = await project(cache);
  const dead = `${formatOwner({ ...currentOwner(), start: '1' })}.abcd`;
  await writeFile(join(directory, `.out.mkimg-tmp-${dead}`), 'half');
  await mkdir(join(directory, `.tree.mkimg-old-${dead}`));
  await writeFile(join(directory, `.tree.mkimg-old-${dead}`, 'file'), '');
  await run(filePlan('one'));
  expect(await readdir(directory)).toEqual(['out', 'tree']);
  expect(await readdir(join(directory, 'tree'))).toEqual(['file']);
});

test('two builds at once: the second waits and finds the work done', async () => {
  await using cache = await testCache();
  const { environment, build: run, events, directory } = await project(cache);
  let runs = 0;
  const slow: AnyFileStep = {
    ...text,
    run: async (inputs, target) => {
      runs += 1;
      await new Promise((done) => setTimeout(done, 150));
      await writeFile(target, (inputs as { text: string }).text);
      return undefined;
    },
  };
  Object.assign(environment, { catalogue: { ...catalogue, compress: slow } });
  await Promise.all([run(filePlan('one')), run(filePlan('one'))]);
  expect(runs).toBe(1);
  expect(events.events.filter((event) => event.type === 'note').map(({ code }) => code)).toEqual(['waiting']);
  expect(await readdir(directory)).toEqual(['out']);
});

test('an output directory that cannot be made is refused', async () => {
  await using cache = await testCache();
  const file = join(cache.path, 'file');
  await writeFile(file, '');
  await chmod(file, 0o444);
  await expect(prepareOutputDirectory(hostPath(join(file, 'output')))).rejects.toMatchObject({
    code: 'output-not-writable',
    class: 'usage',
  });
});
