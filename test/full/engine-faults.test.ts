/** Many killed builds: the short version is among the integration tests. */
import { afterAll, beforeAll, it } from 'vitest';
import type { ImageBench } from '../helpers/image-bench.ts';
import { imageBench } from '../helpers/image-bench.ts';
import { killAtRandom } from '../helpers/killed-builds.ts';

let bench: ImageBench;

beforeAll(async () => {
  bench = await imageBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

it('200 builds that are killed at random moments do no harm', () => killAtRandom(bench, 200), 3_600_000);
