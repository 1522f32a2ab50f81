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
import type { Entry } from './store.ts';

/** The parts that a step of a run uses, kept in the store beside the results of steps. */
export function partStore(run: Run, step: StepId): PartStore {
  return {
    obtain: async (parts, make) => {
      const { identity } = await identityOf(run, step);
      const keyed = parts.map((part) => ({ part, ...keyOfPart(part, identity) }));
      const mine = keyed.filter(({ key }) => !run.parts.has(key));
      if (mine.length > 0) claim(run, mine, makeMissing(run, mine, make));
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
function claim(run: Run, parts: readonly Keyed<Part>[], made: Promise<readonly HostPath[]>): void {
  for (const [index, { part, key }] of parts.entries()) {
    const path = made.then((paths) => {
      const own = paths[index];
      if (own === undefined) throw new Error(`internal: the part ${part.label} was not made`);
      return own;
    });
    // Whoever asked sees the error.
    path.catch(() => undefined);
    run.parts.set(key, path);
  }
}

/** Parts that are put into the store at a time. */
const atOnce = 8;

async function makeMissing<T extends Part>(
  run: Run,
  parts: readonly Keyed<T>[],
  make: (missing: readonly T[]) => Promise<readonly HostPath[]>,
): Promise<readonly HostPath[]> {
  const find = (): Promise<(Entry | undefined)[]> =>
    Promise.all(parts.map(({ key }) => soundEntry(run, key)));
  let found = await find();
  const wanted = parts.filter((_, index) => found[index] === undefined);
  await using _locks = await lockKeys(
    run,
    wanted.map(({ key }) => key),
    wanted.map(({ part }) => part.label)[0] ?? '',
  );
  // Other builds may have made some of them meanwhile.
  if (wanted.length > 0) found = await find();
  const missing = parts.filter((_, index) => found[index] === undefined);
  const made = missing.length === 0 ? [] : await make(missing.map(({ part }) => part));
  run.signal.throwIfAborted();
  // One after the other, they would wait for the disk a thousand times.
  const limit = pLimit(atOnce);
  const keepAt = async (index: number, keyed: Keyed<T>): Promise<[StepKey, HostPath]> => {
    const directory = made[index];
    if (directory === undefined) throw new Error(`internal: ${keyed.part.label} was not made`);
    return [keyed.key, await keep(run, keyed, directory)];
  };
  const kept = new Map(await allOf(missing.map((keyed, index) => () => limit(() => keepAt(index, keyed)))));
  return parts.map(({ part, key }, index) => {
    const path = found[index]?.path ?? kept.get(key);
    if (path === undefined) throw new Error(`internal: ${part.label} is neither found nor made`);
    return path;
  });
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
