import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hostPath, stepId } from '../../../src/base/brand.ts';
import type { AnyTreeStep } from '../../../src/engine/environment.ts';
import { evaluate } from '../../../src/engine/evaluate.ts';
import { execute } from '../../../src/engine/executor.ts';
import type { Explanation } from '../../../src/engine/explain.ts';
import { explain, planValueAt } from '../../../src/engine/explain.ts';
import type { Plan } from '../../../src/plan/step.ts';
import { catalogueOf, inner, planOf, ref, step, testCache, testEnvironment } from './fixtures.ts';

const tree: AnyTreeStep = { output: 'tree', version: 1, tools: [], run: () => Promise.resolve() };
const catalogue = catalogueOf({ 'copy-trees': tree, hwdb: tree });

test('explain names the input that changed, also of a step that is not kept alone', async () => {
  await using cache = await testCache();
  const source = hostPath(join(cache.path, 'extra'));
  await mkdir(source);
  const plan = planOf([
    inner('copy', 'copy-trees', { trees: [{ source: { $host: source }, target: '' }] }),
    step('hwdb', 'hwdb', { base: ref('copy', 'tree') }),
  ]);
  const why = async (id: string, current: Plan = plan): Promise<Explanation | undefined> => {
    const environment = await testEnvironment(cache, { catalogue });
    const { statuses } = await evaluate(current, environment, [stepId('hwdb')]);
    const status = statuses.get(stepId(id));
    const wanted = current.steps.find((candidate) => candidate.id === id);
    if (wanted === undefined || status === undefined || status.state === 'unknown')
      throw new Error('unknown');
    return await explain(wanted, status.identity, environment.store);
  };
  expect(await why('copy')).toBeUndefined();
  await execute(plan, await testEnvironment(cache, { catalogue }), [stepId('hwdb')]);
  expect((await why('copy'))?.changes).toEqual([]);
  await writeFile(join(source, 'new'), '');
  expect((await why('copy'))?.changes.map(({ path }) => path)).toEqual(['inputs.trees.0.source.$host']);
  expect((await why('hwdb'))?.changes.map(({ path }) => path)).toEqual(['inputs.base.$ref']);
  const [copy] = plan.steps;
  if (copy === undefined) throw new Error('no step');
  expect(planValueAt(copy, 'inputs.trees.0.source.$host')).toEqual({ $host: source });
});
