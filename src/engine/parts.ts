import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath, StepKey } from '../base/brand.ts';
import { digestJson } from '../base/canonical.ts';
import type { Part, PartStore } from '../steps/implementation.ts';
import { stepKey } from './record.ts';
import type { Run } from './run.ts';
import { soundEntry } from './run.ts';

/** The parts of a run, kept in the store beside the results of steps. */
export function partStore(run: Run): PartStore {
  return {
    obtain: async (parts, make) => {
      const mine = parts.filter((part) => !run.parts.has(keyOfPart(run, part)));
      if (mine.length > 0) claim(run, mine, makeMissing(run, mine, make));
      return Promise.all(
        parts.map((part) => {
          const path = run.parts.get(keyOfPart(run, part));
          if (path === undefined) throw new Error(`internal: the part ${part.label} was not claimed`);
          return path;
        }),
      );
    },
  };
}

function keyOfPart({ environment }: Run, { kind, version, identity }: Part): StepKey {
  return stepKey(digestJson({ part: kind, version, identity, ownership: environment.ownership }));
}

/** From now on other steps wait for these parts instead of making them too. */
function claim(run: Run, parts: readonly Part[], made: Promise<readonly HostPath[]>): void {
  for (const [index, part] of parts.entries()) {
    const path = made.then((paths) => {
      const own = paths[index];
      if (own === undefined) throw new Error(`internal: the part ${part.label} was not made`);
      return own;
    });
    // Whoever asked sees the error.
    path.catch(() => undefined);
    run.parts.set(keyOfPart(run, part), path);
  }
}

async function makeMissing<T extends Part>(
  run: Run,
  parts: readonly T[],
  make: (missing: readonly T[]) => Promise<readonly HostPath[]>,
): Promise<readonly HostPath[]> {
  const found = await Promise.all(parts.map((part) => soundEntry(run, keyOfPart(run, part))));
  const missing = parts.filter((_, index) => found[index] === undefined);
  const made = missing.length === 0 ? [] : await make(missing);
  run.signal.throwIfAborted();
  const kept = new Map<T, HostPath>();
  for (const [index, part] of missing.entries()) {
    const directory = made[index];
    if (directory === undefined) throw new Error(`internal: ${part.label} was not made`);
    kept.set(part, await keep(run, part, directory));
  }
  return parts.map((part, index) => {
    const path = found[index]?.path ?? kept.get(part);
    if (path === undefined) throw new Error(`internal: ${part.label} is neither found nor made`);
    return path;
  });
}

async function keep(run: Run, part: Part, directory: HostPath): Promise<HostPath> {
  const { store, ownership } = run.environment;
  await using stage = await store.stage();
  await rename(directory, join(stage.entry, 'tree'));
  const { kind, version, label, identity } = part;
  const entry = await store.commit(stage, {
    ...{ key: keyOfPart(run, part), kind, label, type: 'tree', contentKeyed: false, lowerLayers: [] },
    meta: null,
    identity: { part: kind, version, identity, ownership },
    sync: false,
  });
  return entry.path;
}
