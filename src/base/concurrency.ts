/**
 * Runs jobs side by side and waits for every one, also when one fails: what they work on may only be removed when none is
 * left running.
 * @throws the error of the first job, in the order given, that failed.
 */
export async function allOf<T>(jobs: readonly (() => Promise<T>)[]): Promise<readonly T[]> {
  const results = await Promise.allSettled(jobs.map((job) => job()));
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}
