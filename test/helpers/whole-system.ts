import { expect } from 'vitest';
import type { CliOptions } from './cli.ts';
import { mkimg } from './cli.ts';

interface Report {
  readonly passed: boolean;
  readonly tests: readonly {
    readonly steps: readonly { readonly passed: boolean }[];
    readonly boots: readonly {
      readonly failedUnits: readonly unknown[];
      readonly memory: { readonly available: number };
    }[];
  }[];
}

/** Builds an image that has one test of its own, boots it by that, and expects all to go well. */
export async function buildAndTest(argv: readonly string[], options: CliOptions = {}): Promise<void> {
  const built = await mkimg([...argv, 'build'], options);
  expect(built.code, built.stderr).toBe(0);
  const tested = await mkimg([...argv, '--json', 'test'], options);
  expect(tested.code, tested.stdout + tested.stderr).toBe(0);
  const { passed, tests } = JSON.parse(tested.stdout) as Report;
  expect(passed).toBe(true);
  const [system] = tests;
  expect(system?.steps.every((step) => step.passed)).toBe(true);
  // The agent reported and ran commands: the console alone could tell none of this.
  expect(system?.steps.length).toBeGreaterThan(4);
  expect(system?.boots[0]?.failedUnits).toEqual([]);
  expect(system?.boots[0]?.memory.available).toBeGreaterThan(0);
}
