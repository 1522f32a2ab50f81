/** Where steps run: so many at a time, and only as many as the machine's memory allows. */
export interface Places {
  /**
   * Runs the action when a place is free and `bytes` of memory are, in the order of the calls. One that needs more than there
   * is runs alone.
   */
  use<T>(bytes: number, action: () => Promise<T>): Promise<T>;
}

interface Waiting {
  readonly bytes: number;
  begin(): void;
}

/** `jobs` places that share `bytes` of memory. */
export function createPlaces(limits: { readonly jobs: number; readonly bytes: number }): Places {
  const queue: Waiting[] = [];
  let running = 0;
  let used = 0;
  const isFree = (bytes: number): boolean =>
    running === 0 || (running < limits.jobs && used + bytes <= limits.bytes);
  const beginWaiting = (): void => {
    // Whoever waits first is served first, else a large step could wait for ever.
    for (let next = queue[0]; next !== undefined && isFree(next.bytes); next = queue[0]) {
      queue.shift();
      running += 1;
      used += next.bytes;
      next.begin();
    }
  };
  return {
    use: async (bytes, action) => {
      await new Promise<void>((begin) => {
        queue.push({ bytes, begin });
        beginWaiting();
      });
      try {
        return await action();
      } finally {
        running -= 1;
        used -= bytes;
        beginWaiting();
      }
    },
  };
}
