import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hostPath, stepId } from '../../../src/base/brand.ts';
import type { AnyTreeStep } from '../../../src/engine/environment.ts';
import { evaluate } from '../../../src/engine/evaluate.ts';
import { execute } from '../../../src/engine/executor.ts';
import { openHistory } from '../../../src/engine/history.ts';
import { causesOf, inquiryOf, planValueAt } from '../../../src/engine/why.ts';
import type { Plan } from '../../../src/plan/step.ts';
import type { TestCache } from './fixtures.ts';
import { catalogueOf, inner, planOf, ref, step, testCache, testEnvironment } from './fixtures.ts';

const tree: AnyTreeStep = { output: 'tree', version: 1, tools: [], run: () => Promise.resolve() };
const catalogue = catalogueOf({ 'copy-trees': tree, hwdb: tree, 'remove-files': tree });
const project = hostPath('/project');

interface World {
  readonly tools?: string;
  readonly version?: number;
}

async function environmentOf(cache: TestCache, { tools = '1.5.4', version = 1 }: World = {}) {
  const history = await openHistory(cache.store.layout.state, project);
  return testEnvironment(cache, {
    catalogue: { ...catalogue, hwdb: { ...tree, version } },
    identifyTools: () => Promise.resolve([['zstd', tools]]),
    history,
  });
}

async function why(plan: Plan, cache: TestCache, world?: World): Promise<readonly string[]> {
  const environment = await environmentOf(cache, world);
  const { history } = environment;
  const { statuses } = await evaluate(plan, environment, [stepId('hwdb')]);
  const wanted = plan.steps.find(({ id }) => id === 'hwdb');
  if (wanted === undefined || history === undefined) throw new Error('no such step');
  return causesOf(wanted, inquiryOf(statuses, { plan, history })).map((cause) =>
    cause.kind === 'input' ? `${cause.step.id} ${cause.change.path}` : `${cause.step.id} ${cause.kind}`,
  );
}

async function built(plan: Plan, cache: TestCache): Promise<void> {
  await execute(plan, await environmentOf(cache), [stepId('hwdb')]);
}

describe('the causes of a difference', () => {
  const planWith = (source: string, ...names: readonly string[]): Plan =>
    planOf([
      inner('copy', 'copy-trees', { trees: [{ source: { $host: hostPath(source) }, target: '' }], names }),
      step('hwdb', 'hwdb', { base: ref('copy', 'tree') }),
    ]);

  test('are found where they came in', async () => {
    await using cache = await testCache();
    const source = join(cache.path, 'extra');
    await mkdir(source);
    const plan = planWith(source, 'a', 'b');
    expect(await why(plan, cache)).toEqual(['hwdb new']);
    await built(plan, cache);
    expect(await why(plan, cache)).toEqual([]);
    await writeFile(join(source, 'new'), '');
    expect(await why(plan, cache)).toEqual(['copy inputs.trees.0.source.$host']);
    expect(await why(planWith(source, 'b', 'c'), cache)).toEqual([
      'copy inputs.trees.0.source.$host',
      'copy inputs.names',
      'copy inputs.names',
    ]);
  });

  test('are tools and versions of steps, too', async () => {
    await using cache = await testCache();
    const plan = planWith('/usr/share/misc');
    await built(plan, cache);
    expect(await why(plan, cache, { tools: '1.5.5' })).toEqual(['hwdb tools.zstd', 'copy tools.zstd'].sort());
    expect(await why(plan, cache, { version: 2 })).toEqual(['hwdb version']);
  });

  test('are steps that are new, and results that are gone', async () => {
    await using cache = await testCache();
    const plan = planWith('/usr/share/misc');
    await built(plan, cache);
    const longer = planOf([
      ...plan.steps.slice(0, 1),
      inner('remove', 'remove-files', { base: ref('copy', 'tree'), patterns: ['x'] }),
      step('hwdb', 'hwdb', { base: ref('remove', 'tree') }),
    ]);
    expect(await why(longer, cache)).toEqual(['remove new']);
    for (const key of await cache.store.keys()) await cache.store.remove(key);
    expect(await why(plan, cache)).toEqual(['hwdb lost']);
  });

  test('do not depend on what other projects did', async () => {
    await using cache = await testCache();
    await built(planWith('/usr/share/misc'), cache);
    const other = await openHistory(cache.store.layout.state, hostPath('/other'));
    expect(other.past(stepId('hwdb'))).toBeUndefined();
  });
});

test('a place of an identity leads to what the plan has there', () => {
  const copy = step('copy', 'copy-trees', { trees: [{ source: { $host: hostPath('/extra') }, target: '' }] });
  expect(planValueAt(copy, 'inputs.trees.0.source.$host')).toEqual({ $host: '/extra' });
});
