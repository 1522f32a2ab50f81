import type { HostPath, ImageName, StepId, StepKey } from '../base/brand.ts';
import { byBytes } from '../base/canonical.ts';
import { Resources } from '../base/disposal.ts';
import type { ImageOutputs, Plan } from '../plan/step.ts';
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
  /** In the order of the plan. */
  readonly images: readonly ImageOutlook[];
  /** All outputs are in their places, made from the wanted keys and untouched: there is nothing to do. */
  readonly upToDate: boolean;
}

/** How the outputs of one image stand. */
export interface ImageOutlook {
  readonly image: ImageName;
  readonly target: PublishTarget;
  readonly outputs: readonly OutputStatus[];
  readonly upToDate: boolean;
}

/** Where the outputs of each image go. */
export type PublishTargets = ReadonlyMap<ImageName, PublishTarget>;

/** Tells what a build would do. No namespace, no process, nothing written but the cache of digests. */
export async function foresee(
  plan: Plan,
  environment: EvaluationEnvironment,
  targets: PublishTargets,
): Promise<Outlook> {
  const evaluation = await evaluate(plan, environment);
  const images: ImageOutlook[] = [];
  for (const { image, outputs } of plan.images) {
    const target = targetOf(targets, image);
    images.push(await foreseeImage({ image, outputs }, { environment, evaluation, target }));
  }
  return { evaluation, images, upToDate: images.every(({ upToDate }) => upToDate) };
}

interface Foreseeing {
  readonly environment: EvaluationEnvironment;
  readonly evaluation: Evaluation;
  readonly target: PublishTarget;
}

async function foreseeImage(
  { image, outputs: planned }: Pick<ImageOutputs, 'image' | 'outputs'>,
  { environment, evaluation, target }: Foreseeing,
): Promise<ImageOutlook> {
  const outputs = await outputStatuses(planned, {
    store: environment.store,
    target,
    keyOf: (id) => wantedKey(evaluation, id),
  });
  const upToDate =
    outputs.every(({ state }) => state === 'current') && (await hasChecksums(environment, target));
  return { image, target, outputs, upToDate };
}

function targetOf(targets: PublishTargets, image: ImageName): PublishTarget {
  const target = targets.get(image);
  if (target === undefined) throw new Error(`internal: nobody says where ${image} goes`);
  return target;
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
  readonly targets: PublishTargets;
  readonly copyTree: PublishScope['copyTree'];
  /** Publish all outputs again, also those that are as they should be. */
  readonly renew: boolean;
}

export interface BuildReport {
  readonly execution: Execution;
  readonly outputs: readonly OutputRecord[];
}

/**
 * Brings the outputs of a plan up to date: makes what is missing, publishes it image by image, and says of the rest that it
 * is unchanged. Of two builds into one directory, the second waits and then finds its work done. The output directories must
 * have been prepared by prepareOutputDirectory().
 */
export async function build(
  plan: Plan,
  environment: EngineEnvironment,
  { targets, copyTree, renew }: BuildOptions,
): Promise<BuildReport> {
  const { store, events, signal } = environment;
  const scope: PublishScope = { store, events, signal, copyTree };
  await using locks = new Resources();
  for (const directory of directoriesOf(targets)) locks.use(await lockOutputDirectory(directory, scope));
  // From here to the last rename, no other process may take away what was made for this one.
  await using _running = await beginBuild(scope);
  // It may have waited for long: files of the user's may have changed since they were looked at.
  environment.digests.renew();
  const { images, evaluation } = await foresee(plan, environment, targets);
  const isUnchanged = ({ state }: OutputStatus): boolean => state === 'current' && !renew;
  const pending = images.flatMap(({ outputs }) => outputs.filter((status) => !isUnchanged(status)));
  const execution = await execute(plan, environment, [
    ...new Set(pending.map(({ output }) => output.from.$ref)),
  ]);
  const known = await Promise.all(images.map((image) => restated(image, execution)));
  const ready = publications(
    known.flatMap(({ outputs }) => outputs.filter((status) => !isUnchanged(status))),
    execution,
  );
  const published: OutputRecord[] = [];
  for (const { outputs, target } of known) {
    const unchanged = outputs.filter(isUnchanged).flatMap(({ record }) => record ?? []);
    const own = ready.filter(({ status }) => outputs.includes(status));
    published.push(...(await publish({ publications: own, unchanged }, target, scope)));
  }
  await environment.shared?.finish();
  await noteUntouched(evaluation, environment);
  return { execution, outputs: published };
}

/** Outputs of which only now is known what they are made from: they may be as they should be. */
async function restated(image: ImageOutlook, { results }: Execution): Promise<ImageOutlook> {
  const { directory, mode } = image.target;
  const outputs = image.outputs.map(async (status): Promise<OutputStatus> => {
    const { output, record, state } = status;
    const made = results.get(output.from.$ref);
    if (state !== 'outdated' || made === undefined) return status;
    const wanted = { directory, name: output.name, key: made.entry.record.key, mode };
    return { ...status, state: await outputState(wanted, record) };
  });
  return { ...image, outputs: await Promise.all(outputs) };
}

/** Steps that nobody asked for, because what is made of them is stored, are as good as made. */
async function noteUntouched(
  { statuses, needed }: Evaluation,
  { history }: Pick<EngineEnvironment, 'history'>,
): Promise<void> {
  for (const [id, status] of statuses) {
    if (status.state === 'unknown' || needed.includes(id)) continue;
    history?.note(id, status.identity);
  }
  await history?.save();
}

/** In one order for all builds, so that two of them never wait for each other. */
function directoriesOf(targets: PublishTargets): readonly HostPath[] {
  return [...new Set([...targets.values()].map(({ directory }) => directory))].sort(byBytes);
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
