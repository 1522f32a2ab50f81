import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { StepKey } from '../base/brand.ts';
import { acquireLocks } from './lock.ts';
import type { Run } from './run.ts';

/**
 * Waits until no other build is making one of these results, and keeps others from beginning until disposal. Whoever holds it
 * looks into the store once more: what was waited for is there, unless it failed.
 *
 * A build waits for the lock of a step only while it holds locks of steps that are made from that step's result, and for
 * the locks of parts while it holds those of steps; so no two builds wait for each other.
 */
export async function lockKeys(run: Run, keys: readonly StepKey[], label: string): Promise<AsyncDisposable> {
  const { store, events } = run.environment;
  const locks = join(store.layout.state, 'locks');
  await mkdir(locks, { recursive: true });
  return acquireLocks(
    keys.map((key) => join(locks, key)),
    {
      signal: run.signal,
      onWait: (pid) => {
        events.emit({
          ...{ type: 'note', level: 'info', code: 'waiting' },
          message: `Waiting for process ${pid}, which is making '${label}'`,
        });
      },
    },
  );
}
