import type { Json } from '../base/canonical.ts';
import { isObject } from '../base/canonical.ts';
import type { Step } from '../plan/step.ts';
import type { IdentityChange, StepIdentity } from './key.ts';
import { compareIdentities, identityJson } from './key.ts';
import type { RecordedIdentity, StoreRecord } from './record.ts';
import type { Store } from './store.ts';

/** Why a step has another key than a result that the store has of it. */
export interface Explanation {
  /** When the compared result was made, milliseconds since the epoch. */
  readonly previous: number;
  /** Empty when that result is the wanted one. */
  readonly changes: readonly IdentityChange[];
}

/**
 * Compares a step with the most similar result that the store has of a step of the same kind and label; of equally similar
 * ones the newest. undefined when it was never made, or its results were pruned.
 */
export async function explain(
  step: Pick<Step, 'kind' | 'label'>,
  identity: StepIdentity,
  store: Store,
): Promise<Explanation | undefined> {
  const wanted = identityJson(identity);
  let best: Explanation | undefined;
  for (const key of await store.keys()) {
    const record = (await store.find(key))?.record;
    const recorded = record === undefined ? undefined : identityOfStep(record, step);
    if (record === undefined || recorded === undefined) continue;
    const found = { previous: record.createdAt, changes: compareIdentities(recorded, wanted) };
    if (best === undefined || isBetter(found, best)) best = found;
  }
  return best;
}

function identityOfStep(
  record: StoreRecord,
  { kind, label }: Pick<Step, 'kind' | 'label'>,
): Json | undefined {
  const own: RecordedIdentity = { label: record.label, identity: record.identity };
  return [own, ...record.chain].find((recorded) => recorded.label === label && kindOf(recorded) === kind)
    ?.identity;
}

function kindOf({ identity }: RecordedIdentity): Json | undefined {
  return isObject(identity) ? identity['kind'] : undefined;
}

function isBetter(left: Explanation, right: Explanation): boolean {
  const difference = left.changes.length - right.changes.length;
  return difference < 0 || (difference === 0 && left.previous > right.previous);
}

/** What stands at a place of an identity (`inputs.trees.0.source`) in the plan: a path says more than its digest. */
export function planValueAt(step: Step, path: string): unknown {
  const names = path.split('.').filter((name) => !name.startsWith('$'));
  return names.reduce<unknown>((value, name) => memberOf(value, name), step);
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.entries(value).find(([key]) => key === name)?.[1];
}
