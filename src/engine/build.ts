import type { StepId, StepKey } from '../base/brand.ts';
import type { Plan } from '../plan/step.ts';
import type { EngineEnvironment, EvaluationEnvironment } from './environment.ts';
import type { Evaluation } from './evaluate.ts';
import { evaluate } from './evaluate.ts';
import type { Execution } from './executor.ts';
import { beginBuild } from './prune.ts';
import { execute } from './executor.ts';
import type { OutputRecord } from './output-records.ts';
import { outputRecords, outputState } from './output-records.ts';
import type { OutputStatus, Publication, PublishScope, PublishTarget } from './publish.ts';
import { lockOutputDirectory, outputStatuses, publish } from './publish.ts';

/** What stands between the configuration and its outputs. */
export interface Outlook {
  readonly evaluation: Evaluation;
  readonly outputs: readonly OutputStatus[];
  /** All outputs are in their places, made from the wanted keys and untouched: there is nothing to do. */
  readonly upToDate: boolean;
}

/** Tells what a build would do. No namespace, no process, nothing written but the cache of digests. */
export async function foresee(
  plan: Plan,
  environment: EvaluationEnvironment,
  target: PublishTarget,
): Promise<Outlook> {
  const evaluation = await evaluate(plan, environment);
  const outputs = await outputStatuses(plan.outputs, {
    store: environment.store,
    target,
    keyOf: (id) => wantedKey(evaluation, id),
  });
  const upToDate =
    outputs.every(({ state }) => state === 'current') && (await hasChecksums(environment, target));
  return { evaluation, outputs, upToDate };
}

function wantedKey({ statuses }: Evaluation, id: StepId): StepKey | undefined {
  const status = statuses.get(id);
  return status === undefined || status.state === 'unknown' ? undefined : status.key;
}

async function hasChecksums({ store }: EvaluationEnvironment, target: PublishTarget): Promise<boolean> {
  const { checksumFile: name, directory, mode } = target;
  if (name === undefined) return true;
  const record = await outputRecords(store.layout.state).read(directory, name);
  // The digests inside are right as long as all outputs are current, so the file's own key is not asked for.
  return (
    record !== undefined &&
    (await outputState({ directory, name, key: record.key, mode }, record)) === 'current'
  );
}

export interface BuildOptions {
  readonly target: PublishTarget;
  readonly copyTree: PublishScope['copyTree'];
  /** Publish all outputs again, also those that are as they should be. */
  readonly renew: boolean;
}

export interface BuildReport {
  readonly execution: Execution;
  readonly outputs: readonly OutputRecord[];
}

/**
 * Brings the outputs of a plan up to date: makes what is missing, publishes it, and says of the rest that it is unchanged.
 * Of two builds into one directory, the second waits and then finds its work done. The output directory must have been
 * prepared by prepareOutputDirectory().
 */
export async function build(
  plan: Plan,
  environment: EngineEnvironment,
  { target, copyTree, renew }: BuildOptions,
): Promise<BuildReport> {
  const { store, events, signal } = environment;
  const scope: PublishScope = { store, events, signal, copyTree };
  await using _lock = await lockOutputDirectory(target.directory, scope);
  // From here to the last rename, no other process may take away what was made for this one.
  await using _running = await beginBuild(scope);
  const { outputs } = await foresee(plan, environment, target);
  const isUnchanged = ({ state }: OutputStatus): boolean => state === 'current' && !renew;
  const pending = outputs.filter((status) => !isUnchanged(status));
  const execution = await execute(plan, environment, [
    ...new Set(pending.map(({ output }) => output.from.$ref)),
  ]);
  const unchanged = outputs.filter(isUnchanged).flatMap(({ record }) => record ?? []);
  const published = await publish(
    { publications: publications(pending, execution), unchanged },
    target,
    scope,
  );
  return { execution, outputs: published };
}

function publications(pending: readonly OutputStatus[], { results }: Execution): readonly Publication[] {
  return pending.map((status, index) => {
    const { $ref } = status.output.from;
    const made = results.get($ref);
    if (made === undefined) throw new Error(`internal: ${$ref} was not made`);
    const isLast = !pending.slice(index + 1).some(({ output }) => output.from.$ref === $ref);
    return { status, entry: made.entry, movable: isLast };
  });
}
