import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** Much of their time is spent waiting for files, locks and servers. */
const quick = {
  isolate: false,
  maxWorkers: availableParallelism() + 2,
  // Ends what hangs; how fast a busy machine is, is not what they test.
  testTimeout: 60_000,
  hookTimeout: 60_000,
};

/**
 * One project for each kind of test. `unit`, `golden` and `contract` need nothing and are quick; `integration` and `boot`
 * start real tools in namespaces and run one file after the other, because they share caches and both cores.
 */
export default defineConfig({
  test: {
    projects: [
      { test: { ...quick, name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      { test: { ...quick, name: 'golden', include: ['test/golden/**/*.test.ts'] } },
      { test: { ...quick, name: 'contract', include: ['test/contract/**/*.test.ts'] } },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'boot',
          include: ['test/boot/**/*.test.ts'],
          testTimeout: 1_200_000,
          hookTimeout: 1_200_000,
          fileParallelism: false,
          // Each emulated guest takes a core.
          maxConcurrency: 2,
        },
      },
      {
        test: {
          name: 'full',
          include: ['test/full/**/*.test.ts'],
          testTimeout: 1_200_000,
          hookTimeout: 1_200_000,
          fileParallelism: false,
          // Each emulated guest takes a core.
          maxConcurrency: 2,
        },
      },
    ],
  },
});
