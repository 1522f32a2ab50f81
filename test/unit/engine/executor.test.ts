import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { hostPath, stepId } from '../../../src/base/brand.ts';
import { MkimgError } from '../../../src/base/errors.ts';
import type { AnyFileStep, AnyTreeStep } from '../../../src/engine/environment.ts';
import { evaluate } from '../../../src/engine/evaluate.ts';
import { execute } from '../../../src/engine/executor.ts';
import { excerptOf } from '../../../src/plan/excerpts.ts';
import type { OpenedFile, OpenedTree, Plan } from '../../../src/plan/step.ts';
import {
  catalogueOf,
  copyingMounter,
  inner,
  labels,
  planOf,
  recordedEvents,
  ref,
  step,
  testCache,
  testEnvironment,
} from './fixtures.ts';

interface FileInputs {
  readonly text: string;
  readonly sources?: readonly OpenedFile[];
}

/** Writes `text` and the content of its sources. */
const concatenate: AnyFileStep = {
  output: 'file',
  version: 1,
  tools: [],
  run: async (inputs, target) => {
    const { text, sources = [] } = inputs as FileInputs;
    const parts = await Promise.all(sources.map(({ path }) => readFile(path, 'utf8')));
    await writeFile(target, text + parts.join(''));
    return { length: text.length };
  },
};

interface TreeInputs {
  readonly base?: OpenedTree;
  readonly name: string;
}

/** Writes a file into the tree. */
const touch: AnyTreeStep = {
  output: 'tree',
  version: 1,
  tools: [],
  run: async (inputs, root) => {
    const { name, base } = inputs as TreeInputs;
    if (base !== undefined) expect(base.root).toBe(root);
    await writeFile(join(root, name), name);
  },
};

/** Lists the files of a tree. */
const list: AnyFileStep = {
  output: 'file',
  version: 1,
  tools: [],
  run: async (inputs, target) => {
    const { tree } = inputs as { tree: OpenedTree };
    await writeFile(target, (await readdir(tree.root)).sort().join(' '));
    return undefined;
  },
};

const catalogue = catalogueOf({ compress: concatenate, 'copy-trees': touch, 'pack-tar': list });

beforeEach(() => {
  copyingMounter.mounted.clear();
});

describe('execute', () => {
  test('runs what the target needs, and the second time nothing', async () => {
    await using cache = await testCache();
    const events = recordedEvents();
    const environment = await testEnvironment(cache, { catalogue, events });
    const plan = planOf([
      step('a', 'compress', { text: 'a' }),
      step('b', 'compress', { text: 'b', sources: [ref('a', 'file')] }),
      step('unneeded', 'compress', { text: 'x' }),
    ]);
    const { results } = await execute(plan, environment, [stepId('b')]);
    const made = results.get(stepId('b'));
    expect(made?.entry.record.meta).toEqual({ length: 1 });
    expect(await readFile(made?.entry.path ?? '', 'utf8')).toBe('ba');
    expect(labels(events.events, 'step-finished')).toEqual(['a', 'b']);
    const again = await execute(plan, environment, [stepId('b')]);
    expect(again.times).toMatchObject({ hits: 1, ran: 0 });
    expect(labels(events.events, 'step-hit')).toEqual(['b']);
    expect(await readdir(cache.store.layout.staging)).toEqual([]);
  });

  test('commits the changes of a chain as one layer upon its base', async () => {
    await using cache = await testCache();
    const environment = await testEnvironment(cache, { catalogue });
    const plan = planOf([
      step('base', 'copy-trees', { name: 'one' }),
      inner('inner', 'copy-trees', { name: 'two', base: ref('base', 'tree') }),
      step('top', 'copy-trees', { name: 'three', base: ref('inner', 'tree') }),
      step('list', 'pack-tar', { tree: ref('top', 'tree') }),
    ]);
    const { results } = await execute(plan, environment, [stepId('list')]);
    expect(await readFile(results.get(stepId('list'))?.entry.path ?? '', 'utf8')).toBe('one three two');
    expect(results.has(stepId('inner'))).toBe(false);
    expect(results.get(stepId('top'))?.entry.record.layers).toEqual([
      results.get(stepId('base'))?.key,
      results.get(stepId('top'))?.key,
    ]);
    expect(copyingMounter.mounted.size).toBe(0);
  });

  test('resumes from the nearest stored tree', async () => {
    await using cache = await testCache();
    const events = recordedEvents();
    const environment = await testEnvironment(cache, { catalogue, events });
    const base = step('base', 'copy-trees', { name: 'one' });
    const top = (name: string): ReturnType<typeof step> =>
      step('top', 'copy-trees', { name, base: ref('base', 'tree') });
    await execute(planOf([base, top('two')]), environment, [stepId('top')]);
    await execute(planOf([base, top('three')]), environment, [stepId('top')]);
    expect(labels(events.events, 'step-finished')).toEqual(['base', 'top', 'top']);
    expect(labels(events.events, 'step-hit')).toEqual(['base']);
  });

  test('gives a fresh tree step an empty root and its base to read', async () => {
    await using cache = await testCache();
    const fresh: AnyTreeStep = {
      output: 'tree',
      version: 1,
      tools: [],
      fresh: true,
      run: async (inputs, root) => {
        const { base } = inputs as { base: OpenedTree };
        expect(await readdir(root)).toEqual([]);
        expect(await readdir(base.root)).toEqual(['one']);
        await writeFile(join(root, 'built'), '');
      },
    };
    const environment = await testEnvironment(cache, {
      catalogue: { ...catalogue, 'run-build-scripts': fresh },
    });
    const plan = planOf([
      step('base', 'copy-trees', { name: 'one' }),
      step('build', 'run-build-scripts', { base: ref('base', 'tree') }),
      step('list', 'pack-tar', { tree: ref('build', 'tree') }),
    ]);
    const { results } = await execute(plan, environment, [stepId('list')]);
    expect(await readFile(results.get(stepId('list'))?.entry.path ?? '', 'utf8')).toBe('built');
    expect(results.get(stepId('build'))?.entry.record.layers).toHaveLength(1);
  });

  test('lays what a layer step fills over its base, which it reads', async () => {
    await using cache = await testCache();
    const layer: AnyTreeStep = {
      output: 'tree',
      version: 1,
      tools: [],
      layer: true,
      run: async (inputs, root) => {
        const { base } = inputs as { base: OpenedTree };
        expect(await readdir(root)).toEqual([]);
        expect(await readdir(base.root)).toEqual(['one']);
        await writeFile(join(root, 'linked'), '');
      },
    };
    const environment = await testEnvironment(cache, {
      catalogue: { ...catalogue, 'unpack-packages': layer },
    });
    const plan = (keep: boolean): Plan =>
      planOf([
        step('base', 'copy-trees', { name: 'one' }),
        { ...step('layer', 'unpack-packages', { base: ref('base', 'tree') }), keep },
        step('top', 'copy-trees', { name: 'two', base: ref('layer', 'tree') }),
        step('list', 'pack-tar', { tree: ref('top', 'tree') }),
      ]);
    const { results } = await execute(plan(true), environment, [stepId('list')]);
    expect(await readFile(results.get(stepId('list'))?.entry.path ?? '', 'utf8')).toBe('linked one two');
    expect(results.get(stepId('top'))?.entry.record.layers).toHaveLength(3);
    expect(copyingMounter.mounted.size).toBe(0);
    await expect(execute(plan(false), environment, [stepId('list')])).rejects.toThrow('does not stand alone');
  });

  test('runs independent steps at the same time, but no more than there are places', async () => {
    await using cache = await testCache();
    let running = 0;
    let most = 0;
    const slow: AnyFileStep = {
      ...concatenate,
      run: async (_inputs, target) => {
        running += 1;
        most = Math.max(most, running);
        await sleep(20);
        running -= 1;
        await writeFile(target, '');
        return undefined;
      },
    };
    const environment = await testEnvironment(cache, {
      catalogue: { ...catalogue, compress: slow },
      jobs: 2,
    });
    const ids = ['a', 'b', 'c', 'd', 'e'];
    const plan = planOf(ids.map((id) => step(id, 'compress', { text: id })));
    await execute(plan, environment, ids.map(stepId));
    expect(most).toBe(2);
  });

  test('begins what is missing before the key is known of the step that needs it', async () => {
    await using cache = await testCache();
    const begun = new AbortController();
    const slow: AnyTreeStep = {
      ...touch,
      run: async (_inputs, root) => {
        const first = await sleep(10_000, 'nothing else', { signal: begun.signal }).catch(() => 'the initrd');
        await writeFile(join(root, 'first'), first);
      },
    };
    const beside: AnyFileStep = {
      ...concatenate,
      run: (inputs, target, context) => {
        begun.abort();
        return concatenate.run(inputs, target, context);
      },
    };
    const environment = await testEnvironment(cache, {
      catalogue: catalogueOf({ 'copy-trees': slow, compress: beside, 'pack-tar': concatenate }),
    });
    const plan = planOf([
      step('tree', 'copy-trees', { name: 'tree' }),
      step('initrd', 'compress', { text: 'initrd' }),
      step('uki', 'pack-tar', {
        text: 'uki ',
        tree: excerptOf(ref('tree', 'tree'), ['kernel']),
        sources: [ref('initrd', 'file')],
      }),
    ]);
    const { results } = await execute(plan, environment, [stepId('uki')]);
    expect(await readFile(join(results.get(stepId('tree'))?.entry.path ?? '', 'first'), 'utf8')).toBe(
      'the initrd',
    );
    expect(await readFile(results.get(stepId('uki'))?.entry.path ?? '', 'utf8')).toBe('uki initrd');
  });

  test('reports the first cause once, aborts what runs and begins nothing new', async () => {
    await using cache = await testCache();
    const events = recordedEvents();
    const began: string[] = [];
    const sleepOrFail: AnyFileStep = {
      ...concatenate,
      run: async (inputs, _target, { signal }) => {
        const { text } = inputs as FileInputs;
        began.push(text);
        if (text === 'bad') {
          while (!began.includes('long')) await sleep(5);
        }
        if (text.startsWith('bad')) throw new MkimgError('tool-failed', 'the first cause');
        await sleep(10_000, undefined, { signal });
        return undefined;
      },
    };
    const environment = await testEnvironment(cache, {
      catalogue: { ...catalogue, compress: sleepOrFail },
      events,
    });
    const plan = planOf([
      step('long', 'compress', { text: 'long' }),
      step('bad', 'compress', { text: 'bad' }),
      step('bad too', 'compress', { text: 'bad too' }),
      step('bad again', 'compress', { text: 'bad again' }),
      step('after', 'compress', { text: 'after', sources: [ref('bad', 'file')] }),
    ]);
    await expect(execute(plan, environment, ['long', 'after'].map(stepId))).rejects.toThrow(
      'the first cause',
    );
    expect(began.sort()).toEqual(['bad', 'long']);
    expect(labels(events.events, 'step-failed')).toEqual(['bad']);
    expect(await readdir(cache.store.layout.staging)).toEqual([]);
    // With one place, whichever waits for it must not get it any more.
    began.length = 0;
    const narrow = { ...environment, jobs: 1 };
    const failing = ['bad too', 'bad again'].map(stepId);
    await expect(execute(plan, narrow, failing)).rejects.toThrow('the first cause');
    expect(began).toHaveLength(1);
  });

  test("keeps the failed step's place for the command line that leads into it, until the next run", async () => {
    await using cache = await testCache();
    const failing: AnyTreeStep = {
      ...touch,
      run: async (_inputs, root) => {
        await writeFile(join(root, 'half'), '');
        throw new MkimgError('tool-failed', 'no', { reenter: 'bwrap' });
      },
    };
    const environment = await testEnvironment(cache, { catalogue: { ...catalogue, 'copy-trees': failing } });
    const plan = planOf([
      step('tree', 'copy-trees', { name: 'x' }),
      step('tar', 'pack-tar', { tree: ref('tree', 'tree') }),
    ]);
    const failure = await execute(plan, environment, [stepId('tar')]).catch((error: unknown) => error);
    const [kept = '', ...more] = await readdir(cache.store.layout.staging);
    expect(more).toEqual([]);
    const stage = join(cache.store.layout.staging, kept);
    expect(await readdir(join(stage, 'entry/tree'))).toEqual(['half']);
    expect(failure).toMatchObject({ message: 'no', reenter: `sh ${stage}/enter` });
    expect(await readFile(join(stage, 'enter'), 'utf8')).toBe('exec bwrap\n');
  });

  test('stops when the user says so, leaving nothing', async () => {
    await using cache = await testCache();
    const abort = new AbortController();
    const slow: AnyTreeStep = {
      ...touch,
      run: async (_inputs, _root, { signal }) => {
        setTimeout(() => abort.abort(), 10);
        await sleep(10_000, undefined, { signal });
      },
    };
    const environment = await testEnvironment(cache, {
      catalogue: { ...catalogue, 'copy-trees': slow },
      signal: abort.signal,
    });
    const plan = planOf([step('tree', 'copy-trees', { name: 'x' })]);
    await expect(execute(plan, environment, [stepId('tree')])).rejects.toMatchObject({
      code: 'interrupted',
      class: 'interrupted',
    });
    expect(await readdir(cache.store.layout.staging)).toEqual([]);
    expect(await cache.store.keys()).toEqual([]);
  });

  test('makes a damaged result again', async () => {
    await using cache = await testCache();
    const events = recordedEvents();
    const environment = await testEnvironment(cache, { catalogue, events });
    const plan = planOf([
      step('base', 'copy-trees', { name: 'one' }),
      step('top', 'copy-trees', { name: 'two', base: ref('base', 'tree') }),
      step('list', 'pack-tar', { tree: ref('top', 'tree') }),
    ]);
    const first = await execute(plan, environment, [stepId('list')]);
    const base = first.results.get(stepId('base'))?.entry.path ?? '';
    await writeFile(join(base, 'one'), 'something else');
    // The list itself is sound, so nothing reads the damaged tree.
    expect((await execute(plan, environment, [stepId('list')])).times.ran).toBe(0);
    const relist = planOf([
      ...plan.steps,
      step('again', 'pack-tar', { tree: ref('top', 'tree'), other: true }),
    ]);
    const { results } = await execute(relist, environment, [stepId('again')]);
    expect(await readFile(results.get(stepId('again'))?.entry.path ?? '', 'utf8')).toBe('one two');
    expect(await readFile(join(base, 'one'), 'utf8')).toBe('one');
    expect(events.events.filter((event) => event.type === 'note').map((event) => event.code)).toEqual([
      'cache-damaged',
    ]);
  });
});

describe('steps whose state lies outside', () => {
  /** Content follows the world; its key follows the world once it was asked. */
  function stateful(world: { known: string | undefined; actual: string }): AnyFileStep {
    return {
      output: 'file',
      version: 1,
      tools: [],
      contentKeyed: true,
      state: () => Promise.resolve(world.known),
      run: async (_inputs, target) => {
        world.known = world.actual;
        await writeFile(target, world.actual.slice(0, 1));
        return undefined;
      },
    };
  }

  test('run when the state is unknown, and later steps are kept if the content is the same', async () => {
    await using cache = await testCache();
    const world = { known: undefined as string | undefined, actual: 'a1' };
    const events = recordedEvents();
    const environment = await testEnvironment(cache, {
      catalogue: { ...catalogue, 'resolve-packages': stateful(world) },
      events,
    });
    const plan = planOf([
      step('resolve', 'resolve-packages', {}),
      step('install', 'compress', { text: 'x', sources: [ref('resolve', 'file')] }),
    ]);
    const before = await evaluate(plan, environment, [stepId('install')]);
    expect([...before.statuses.values()].map(({ state }) => state)).toEqual(['unknown', 'unknown']);
    await execute(plan, environment, [stepId('install')]);
    const after = await evaluate(plan, environment, [stepId('install')]);
    expect([...after.statuses.values()].map(({ state }) => state)).toEqual(['hit', 'hit']);
    expect(after.needed).toEqual([]);
    world.known = undefined;
    world.actual = 'a2';
    await execute(plan, environment, [stepId('install')]);
    expect(labels(events.events, 'step-finished')).toEqual(['resolve', 'install', 'resolve']);
    world.known = undefined;
    world.actual = 'b1';
    await execute(plan, environment, [stepId('install')]);
    expect(labels(events.events, 'step-finished').slice(3)).toEqual(['resolve', 'install']);
  });
});

describe('plans that break the rules', () => {
  const run = async (steps: readonly ReturnType<typeof step>[]): Promise<unknown> => {
    await using cache = await testCache();
    return await execute(planOf(steps), await testEnvironment(cache, { catalogue }), [stepId('last')]);
  };

  test.each([
    [
      'an unkept tree with two users',
      [
        inner('t', 'copy-trees', { name: 'a' }),
        step('u', 'copy-trees', { name: 'b', base: ref('t', 'tree') }),
        step('last', 'copy-trees', { name: 'c', base: ref('t', 'tree') }),
      ],
    ],
    [
      'an unkept tree that is read',
      [inner('t', 'copy-trees', { name: 'a' }), step('last', 'pack-tar', { tree: ref('t', 'tree') })],
    ],
    [
      'a reference forwards',
      [step('last', 'pack-tar', { tree: ref('t', 'tree') }), step('t', 'copy-trees', { name: 'a' })],
    ],
    [
      'a reference of the wrong type',
      [
        step('t', 'copy-trees', { name: 'a' }),
        step('last', 'compress', { text: '', sources: [ref('t', 'file')] }),
      ],
    ],
  ] as const)('%s', async (_name, steps) => {
    await expect(run(steps)).rejects.toThrow(/^internal: /);
  });
});

test('host files enter keys by content', async () => {
  await using cache = await testCache();
  const source = hostPath(join(cache.path, 'source'));
  await mkdir(source);
  await writeFile(join(source, 'file'), 'one');
  const plan = planOf([step('a', 'compress', { text: 'a', source: { $host: source } })]);
  const key = async (): Promise<unknown> => {
    const environment = await testEnvironment(cache, { catalogue });
    return (await evaluate(plan, environment, [stepId('a')])).statuses.get(stepId('a'));
  };
  const before = await key();
  expect(await key()).toEqual(before);
  await writeFile(join(source, 'file'), 'two');
  expect(await key()).not.toEqual(before);
});

describe('two runs that want one result', () => {
  /** A slow step that counts how often it runs. */
  function counting(fails: () => boolean): { readonly step: AnyFileStep; readonly runs: () => number } {
    let runs = 0;
    const run = async (_inputs: unknown, target: string): Promise<undefined> => {
      runs += 1;
      await sleep(300);
      if (fails()) throw new MkimgError('test', 'it fails');
      await writeFile(target, 'done');
      return undefined;
    };
    return { step: { output: 'file', version: 1, tools: [], run }, runs: () => runs };
  }

  const wanted = planOf([step('a', 'compress', {})], [{ from: ref('a', 'file'), name: 'a' }]);

  test('make it once, and the one that waits says so', async () => {
    await using cache = await testCache();
    const slow = counting(() => false);
    const events = recordedEvents();
    const environment = await testEnvironment(cache, {
      catalogue: catalogueOf({ compress: slow.step }),
      events,
    });
    const [one, two] = await Promise.all([execute(wanted, environment), execute(wanted, environment)]);
    expect(slow.runs()).toBe(1);
    expect(one.results.get(stepId('a'))?.key).toBe(two.results.get(stepId('a'))?.key);
    expect(events.events).toContainEqual(
      expect.objectContaining({
        code: 'waiting',
        message: `Waiting for process ${process.pid}, which is making 'a'`,
      }),
    );
    expect(await readdir(join(cache.store.layout.state, 'locks'))).toEqual([]);
  });

  test('both try when the first one fails', async () => {
    await using cache = await testCache();
    let first = true;
    const slow = counting(() => first && !(first = false));
    const environment = await testEnvironment(cache, { catalogue: catalogueOf({ compress: slow.step }) });
    const outcomes = await Promise.allSettled([execute(wanted, environment), execute(wanted, environment)]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(slow.runs()).toBe(2);
  });
});
