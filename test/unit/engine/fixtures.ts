import { cp, mkdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HostPath } from '../../../src/base/brand.ts';
import { hostPath, imageName, stepId } from '../../../src/base/brand.ts';
import type { EventSink, RunEvent } from '../../../src/base/events.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import { openHostDigests } from '../../../src/engine/digest.ts';
import type { AnyStep, Catalogue, EngineEnvironment, TreeMounter } from '../../../src/engine/environment.ts';
import { cacheLayout } from '../../../src/engine/layout.ts';
import type { Store } from '../../../src/engine/store.ts';
import { openStore } from '../../../src/engine/store.ts';
import type { Plan, PlannedOutput, Ref, Step, StepKind } from '../../../src/plan/step.ts';

export interface TestCache extends AsyncDisposable {
  readonly path: HostPath;
  readonly store: Store;
}

/** An empty cache directory below the system's temporary directory. */
export async function testCache(): Promise<TestCache> {
  const directory = await temporaryDirectory(tmpdir(), 'mkimg-engine-');
  return {
    path: directory.path,
    store: await openStore(cacheLayout(hostPath(join(directory.path, 'cache')))),
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}

/** An event sink that keeps what it gets. */
export function recordedEvents(): EventSink & { readonly events: RunEvent[] } {
  const events: RunEvent[] = [];
  return { events, emit: (event) => void events.push(event) };
}

/** Labels of events of one type, in order. */
export function labels(events: readonly RunEvent[], type: RunEvent['type']): readonly string[] {
  return events.flatMap((event) => (event.type === type && 'label' in event ? [event.label] : []));
}

/**
 * Stands in for overlayfs where tests run without a namespace: a view is a copy of the layers laid over each other, and a
 * writable one is moved into the upper directory as a whole.
 */
export const copyingMounter: TreeMounter & { readonly mounted: Set<string> } = {
  mounted: new Set(),
  readOnly: async (layers, target) => {
    for (const layer of layers) await cp(layer, target, { recursive: true });
    copyingMounter.mounted.add(target);
    return { [Symbol.asyncDispose]: () => Promise.resolve(void copyingMounter.mounted.delete(target)) };
  },
  writable: async ({ layers, upper, target }) => {
    for (const layer of layers) await cp(layer, target, { recursive: true });
    copyingMounter.mounted.add(target);
    return {
      [Symbol.asyncDispose]: async () => {
        copyingMounter.mounted.delete(target);
        await rm(upper, { recursive: true });
        await rename(target, upper);
        await mkdir(target);
      },
    };
  },
};

/** Implementations for the kinds that a test uses. */
export function catalogueOf(steps: Partial<Record<StepKind, AnyStep>>): Catalogue {
  return steps as Catalogue;
}

/** One step; its inputs are whatever the test's implementation takes. */
export function step(id: string, kind: StepKind, inputs: object): Step {
  return { id: stepId(id), kind, inputs, label: id, keep: true, tools: { kind: 'host' } } as unknown as Step;
}

/** A tree step whose change is committed with the next one. */
export function inner(id: string, kind: StepKind, inputs: object): Step {
  return { ...step(id, kind, inputs), keep: false };
}

export function ref<T extends Ref['type']>(id: string, type: T): Ref<T> {
  return { $ref: stepId(id), type };
}

export function planOf(
  steps: readonly Step[],
  outputs: readonly PlannedOutput[] = [],
  outputDirectory = hostPath('/nonexistent'),
): Plan {
  return { steps, images: [{ image: imageName('main'), directory: outputDirectory, outputs }] };
}

/** An environment without tools, whose steps run in this process. */
export async function testEnvironment(
  cache: TestCache,
  options: Partial<EngineEnvironment> & { readonly catalogue: Catalogue },
): Promise<EngineEnvironment> {
  const { store } = cache;
  return {
    store,
    digests: await openHostDigests(hostPath(join(store.layout.state, 'digests.json'))),
    ownership: 'full',
    identifyTools: () => Promise.resolve({}),
    metadataPolicy: { refresh: 'aged', maxAge: 1000 },
    sandboxFor: ({ tools }) => ({
      mode: 'root',
      tools,
      run: () => Promise.reject(new Error('these steps start no programs')),
    }),
    mounter: copyingMounter,
    events: recordedEvents(),
    signal: new AbortController().signal,
    jobs: 2,
    secrets: new Map(),
    ...options,
  };
}
