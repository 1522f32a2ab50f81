import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import pLimit from 'p-limit';
import type { HostPath, StepId, StepKey } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import { digestJson } from '../base/canonical.ts';
import { allOf } from '../base/concurrency.ts';
import type { Part, PartStore } from '../steps/implementation.ts';
import type { StepIdentity } from './key.ts';
import { lockKeys } from './key-lock.ts';
import { stepKey } from './record.ts';
import type { Run } from './run.ts';
import { identityOf, soundEntry } from './run.ts';

/** The parts that a step of a run uses, kept in the store beside the results of steps. */
export function partStore(run: Run, step: StepId): PartStore {
  return {
    obtain: async (parts, make) => {
      const { identity } = await identityOf(run, step);
      const keyed = parts.map((part) => ({ part, ...keyOfPart(part, identity) }));
      const mine = keyed.filter(({ key }) => !run.parts.has(key));
      if (mine.length > 0) claim(run, mine, make);
      return Promise.all(
        keyed.map(({ part, key }) => {
          const path = run.parts.get(key);
          if (path === undefined) throw new Error(`internal: the part ${part.label} was not claimed`);
          return path;
        }),
      );
    },
  };
}

type Make<T extends Part> = (
  missing: readonly T[],
  done: (part: T, directory: HostPath) => void,
) => Promise<readonly HostPath[]>;

interface Keyed<T extends Part> {
  readonly part: T;
  readonly key: StepKey;
  readonly identity: Json;
}

function keyOfPart(
  { kind, version, identity, byTools }: Part,
  { ownership, tools }: StepIdentity,
): Pick<Keyed<Part>, 'key' | 'identity'> {
  const complete = { part: kind, version, identity, ownership, ...(byTools ? { tools } : {}) };
  return { key: stepKey(digestJson(complete)), identity: complete };
}

/** From now on other steps wait for these parts instead of making them too. */
function claim<T extends Part>(run: Run, parts: readonly Keyed<T>[], make: Make<T>): void {
  const claims = parts.map(({ part, key }) => {
    const claimed = deferred<HostPath>();
    // Whoever asked sees the error.
    claimed.promise.catch(() => undefined);
    run.parts.set(key, claimed.promise);
    return { key, part, ...claimed };
  });
  const settle = (key: StepKey, path: HostPath): void =>
    claims.find((claimed) => claimed.key === key)?.resolve(path);
  makeMissing(run, parts, { make, settle }).then(
    () => {
      for (const { part, reject } of claims) reject(new Error(`internal: ${part.label} was not made`));
    },
    (error: unknown) => {
      for (const { reject } of claims) reject(error);
    },
  );
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

function deferred<T>(): Deferred<T> {
  let settle: Omit<Deferred<T>, 'promise'> | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  if (settle === undefined) throw new Error('internal: a promise calls back at once');
  return { promise, ...settle };
}

/** Parts that are put into the store at a time: one after the other, they would wait for the disk a thousand times. */
const atOnce = 8;

interface Making<T extends Part> {
  readonly make: Make<T>;
  /** Told once where each part is. */
  readonly settle: (key: StepKey, path: HostPath) => void;
}

async function makeMissing<T extends Part>(
  run: Run,
  parts: readonly Keyed<T>[],
  { make, settle }: Making<T>,
): Promise<void> {
  const found = await settleSound(run, parts, settle);
  const wanted = parts.filter(({ key }) => !found.has(key));
  if (wanted.length === 0) return;
  await using _locks = await lockKeys(
    run,
    wanted.map(({ key }) => key),
    wanted[0]?.part.label ?? '',
  );
  // Other builds may have made some of them meanwhile.
  const others = await settleSound(run, wanted, settle);
  const missing = wanted.filter(({ key }) => !others.has(key));
  if (missing.length === 0) return;
  const limit = pLimit(atOnce);
  const kept = new Map<StepKey, Promise<void>>();
  const keepAt = (keyed: Keyed<T>, directory: HostPath): void => {
    const keeping = limit(async () => {
      run.signal.throwIfAborted();
      settle(keyed.key, await keep(run, keyed, directory));
    });
    // Seen when all are waited for.
    keeping.catch(() => undefined);
    kept.set(keyed.key, keeping);
  };
  const making = make(
    missing.map(({ part }) => part),
    (part, directory) => {
      const keyed = missing.find((other) => other.part === part);
      if (keyed !== undefined) keepAt(keyed, directory);
    },
  );
  // Where making fails, what is being kept comes to rest before the locks are given back.
  const made = await making.finally(() => Promise.allSettled(kept.values()));
  run.signal.throwIfAborted();
  for (const [index, keyed] of missing.entries()) {
    const directory = made[index];
    if (directory !== undefined && !kept.has(keyed.key)) keepAt(keyed, directory);
  }
  await allOf([...kept.values()].map((keeping) => () => keeping));
}

/** Settles parts that are in the store. @returns their keys */
async function settleSound<T extends Part>(
  run: Run,
  parts: readonly Keyed<T>[],
  settle: Making<T>['settle'],
): Promise<ReadonlySet<StepKey>> {
  const found = await Promise.all(
    parts.map(async ({ key }) => {
      const entry = await soundEntry(run, key);
      if (entry !== undefined) settle(key, entry.path);
      return entry === undefined ? [] : [key];
    }),
  );
  return new Set(found.flat());
}

async function keep(run: Run, { part, key, identity }: Keyed<Part>, directory: HostPath): Promise<HostPath> {
  const { store } = run.environment;
  await using stage = await store.stage();
  await rename(directory, join(stage.entry, 'tree'));
  const { kind, label, checksums } = part;
  const entry = await store.commit(stage, {
    ...{ key, kind, label, type: 'tree', contentKeyed: false, lowerLayers: [] },
    meta: null,
    identity,
    sync: false,
    ...(checksums === undefined ? {} : { checksums }),
  });
  return entry.path;
}
