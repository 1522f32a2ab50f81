import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { hostPath } from '../../../src/base/brand.ts';
import type { HostPath } from '../../../src/base/brand.ts';
import type { RunEvent } from '../../../src/base/events.ts';
import type { RunRequest } from '../../../src/sandbox/types.ts';
import type { BuildContext } from '../../../src/steps/implementation.ts';

/** What unit tests of steps look at afterwards. */
export interface StepContext {
  readonly context: BuildContext;
  readonly events: RunEvent[];
}

/** A context for steps that start no program: one that does fails. */
export async function toolFreeContext(scratch: HostPath): Promise<StepContext> {
  const events: RunEvent[] = [];
  const work = hostPath(await mkdtemp(join(scratch, 'work-')));
  const run = (request: RunRequest): never => {
    throw new Error(`this step must start no program, not even ${request.tool}`);
  };
  const context: BuildContext = {
    products: hostPath(join(work, 'products')),
    ...{ work, packagePool: work, metadataCache: work, jobs: 1, origin: undefined },
    events: { emit: (event) => events.push(event) },
    sandbox: { mode: 'root', tools: { kind: 'host' }, run },
    signal: new AbortController().signal,
    metadataPolicy: { refresh: 'never', maxAge: 0 },
    madeFrom: () => undefined,
    stateOf: () => Promise.resolve(undefined),
    progress: () => undefined,
    // Nothing is shared: each step makes its own.
    parts: { obtain: (parts, make) => make(parts, () => undefined) },
    lock: () => Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() }),
  };
  return { context, events };
}
