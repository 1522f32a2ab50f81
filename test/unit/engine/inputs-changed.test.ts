/** What becomes of results whose inputs do not stay what they were. */
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hostPath, stepId } from '../../../src/base/brand.ts';
import { readDigest } from '../../../src/engine/content.ts';
import { openHostDigests } from '../../../src/engine/digest.ts';
import type { AnyFileStep, AnyTreeStep, EngineEnvironment } from '../../../src/engine/environment.ts';
import { evaluate } from '../../../src/engine/evaluate.ts';
import { execute } from '../../../src/engine/executor.ts';
import type { HostInput, OpenedTree } from '../../../src/plan/step.ts';
import type { TestCache } from './fixtures.ts';
import {
  catalogueOf,
  labels,
  planOf,
  recordedEvents,
  ref,
  step,
  testCache,
  testEnvironment,
} from './fixtures.ts';

interface Scene {
  readonly cache: TestCache;
  readonly source: HostInput;
  readonly file: string;
}

async function scene(cache: TestCache): Promise<Scene> {
  const directory = hostPath(join(cache.path, 'sources'));
  await mkdir(directory);
  const file = join(directory, 'main.c');
  await writeFile(file, 'one');
  return { cache, source: { $host: directory }, file };
}

/** Copies main.c; then somebody writes to it. */
function copying(file: string, after: string | undefined, mayChange: boolean): AnyTreeStep {
  return {
    output: 'tree',
    version: 1,
    tools: [],
    ...(mayChange ? { mayChange: (inputs) => [(inputs as { source: HostInput }).source] } : {}),
    run: async (_inputs, root) => {
      await writeFile(join(root, 'copy'), await readFile(file));
      if (after !== undefined) await writeFile(file, after);
    },
  };
}

const count: AnyFileStep = {
  output: 'file',
  version: 1,
  tools: [],
  run: async (inputs, target) => {
    await writeFile(target, (await readdir((inputs as { tree: OpenedTree }).tree.root)).join());
    return undefined;
  },
};

const plan = (source: HostInput) =>
  planOf([step('copy', 'copy-trees', { source }), step('pack', 'pack-tar', { tree: ref('copy', 'tree') })]);

async function environmentOf(cache: TestCache, tree: AnyTreeStep): Promise<EngineEnvironment> {
  return testEnvironment(cache, { catalogue: catalogueOf({ 'copy-trees': tree, 'pack-tar': count }) });
}

describe('a file that is changed while a step reads it', () => {
  test('ends the build, and nothing of what was made from it is kept', async () => {
    await using cache = await testCache();
    const { source, file } = await scene(cache);
    const environment = await environmentOf(cache, copying(file, 'two', false));
    await expect(execute(plan(source), environment, [stepId('pack')])).rejects.toMatchObject({
      code: 'input-changed',
      message: `${file} was changed while 'copy' ran`,
    });
    expect(await cache.store.keys()).toEqual([]);
    const quiet = await environmentOf(cache, copying(file, undefined, false));
    await execute(plan(source), quiet, [stepId('pack')]);
    expect(await cache.store.keys()).toHaveLength(2);
  });

  test('by the step itself, which may, gives a result that no later build takes', async () => {
    await using cache = await testCache();
    const { source, file } = await scene(cache);
    const environment = await environmentOf(cache, copying(file, 'two', true));
    const { results } = await execute(plan(source), environment, [stepId('pack')]);
    expect(results.get(stepId('pack'))?.entry.record.identity).toBeDefined();
    // Neither as it was, nor as it is now.
    for (const content of ['one', 'two']) {
      await writeFile(file, content);
      const quiet = await environmentOf(cache, copying(file, undefined, true));
      const { needed } = await evaluate(plan(source), quiet, [stepId('pack')]);
      expect(needed).toEqual(['copy', 'pack']);
    }
  });
});

describe('digests of files that change', () => {
  test('while they are read are taken anew, and refused when they never settle', async () => {
    await using cache = await testCache();
    const { source, file } = await scene(cache);
    const cacheFile = hostPath(join(cache.path, 'digests.json'));
    let writes = 1;
    const digests = await openHostDigests(cacheFile, async (path) => {
      const digest = await readDigest(path);
      if (writes-- <= 0) return digest;
      await writeFile(file, `${writes} more`);
      return { ...digest, stats: await stat(path) };
    });
    const calm = await openHostDigests(cacheFile);
    expect(await digests.digest(source)).toBe(await calm.digest(source));
    writes = 100;
    digests.renew();
    await expect(digests.digest(source)).rejects.toMatchObject({ code: 'input-changed' });
  });

  test('are made of no file that is known', async () => {
    await using cache = await testCache();
    const { source, file } = await scene(cache);
    const cacheFile = hostPath(join(cache.path, 'digests.json'));
    const read: string[] = [];
    const digests = await openHostDigests(cacheFile, (path) => {
      read.push(path.toString());
      return readDigest(path);
    });
    await new Promise((done) => setTimeout(done, 2100));
    await digests.digest(source);
    digests.renew();
    await digests.digest(source);
    expect(await digests.changeOf(source)).toBeUndefined();
    expect(read).toEqual([file]);
    await writeFile(file, 'TWO');
    expect(await digests.changeOf(source)).toBe(file);
    expect(read).toEqual([file, file]);
  });

  test('tell what was in a directory', async () => {
    await using cache = await testCache();
    const { source } = await scene(cache);
    const cacheFile = hostPath(join(cache.path, 'digests.json'));
    const digests = await openHostDigests(cacheFile);
    const before = await digests.digest(source);
    await digests.save();
    const later = await openHostDigests(cacheFile);
    expect([...((await later.listing(before)) ?? new Map()).keys()]).toEqual(['main.c']);
    expect(await later.listing('0'.repeat(64))).toBeUndefined();
  });
});

test('two steps with the same inputs are made once, whatever they are called', async () => {
  await using cache = await testCache();
  const { source, file } = await scene(cache);
  const events = recordedEvents();
  const environment = { ...(await environmentOf(cache, copying(file, undefined, false))), events };
  const twins = planOf([
    step('one', 'copy-trees', { source }),
    step('two', 'copy-trees', { source }),
    step('packed-one', 'pack-tar', { tree: ref('one', 'tree') }),
    step('packed-two', 'pack-tar', { tree: ref('two', 'tree') }),
  ]);
  const { results } = await execute(twins, environment, ['packed-one', 'packed-two'].map(stepId));
  expect(labels(events.events, 'step-finished')).toHaveLength(2);
  expect(results.get(stepId('packed-one'))?.key).toBe(results.get(stepId('packed-two'))?.key);
  expect(await cache.store.keys()).toHaveLength(2);
});
