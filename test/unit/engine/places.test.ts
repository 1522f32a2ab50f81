import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPlaces } from '../../../src/engine/places.ts';

/** Runs jobs of these sizes, each for as many turns as told; notes who ran together. */
async function runAll(
  jobs: readonly { bytes: number; turns: number }[],
  limits: { jobs: number; bytes: number },
) {
  const places = createPlaces(limits);
  const running = new Set<number>();
  const together: number[][] = [];
  const begun: number[] = [];
  await Promise.all(
    jobs.map(({ bytes, turns }, index) =>
      places.use(bytes, async () => {
        begun.push(index);
        running.add(index);
        together.push([...running]);
        for (let turn = 0; turn < turns; turn++) await Promise.resolve();
        running.delete(index);
      }),
    ),
  );
  return { together, begun };
}

describe('createPlaces', () => {
  it('keeps to both limits, in the order of the calls', async () => {
    const job = fc.record({ bytes: fc.nat(20), turns: fc.nat(10) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(job, { maxLength: 12 }),
        fc.integer({ min: 1, max: 4 }),
        async (jobs, count) => {
          const { together, begun } = await runAll(jobs, { jobs: count, bytes: 10 });
          expect(begun).toEqual(jobs.map((_, index) => index));
          for (const group of together) {
            const bytes = group.reduce((sum, index) => sum + (jobs[index]?.bytes ?? 0), 0);
            expect(group.length).toBeLessThanOrEqual(count);
            expect(group.length === 1 || bytes <= 10).toBe(true);
          }
        },
      ),
    );
  });

  it('uses what there is', async () => {
    const { together } = await runAll(
      [
        { bytes: 5, turns: 9 },
        { bytes: 5, turns: 9 },
        { bytes: 1, turns: 1 },
      ],
      { jobs: 3, bytes: 10 },
    );
    expect(together[1]).toEqual([0, 1]);
  });

  it('frees the place of a job that fails', async () => {
    const places = createPlaces({ jobs: 1, bytes: 1 });
    await expect(places.use(1, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await places.use(5, () => Promise.resolve('next'))).toBe('next');
  });
});
