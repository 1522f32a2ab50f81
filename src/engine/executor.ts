import { availableParallelism } from 'node:os';
import { lstat, chmod, chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath, StepId } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import type { ExcerptName } from '../plan/excerpts.ts';
import type { Plan, Step } from '../plan/step.ts';
import { outputSteps } from '../plan/step.ts';
import type { EngineEnvironment } from './environment.ts';
import type { ExcerptStates } from './excerpts.ts';
import { excerptDigest, excerptStates } from './excerpts.ts';
import { evaluate } from './evaluate.ts';
import { explainFault, interruption } from './faults.ts';
import type { Graph, Node, TreeNode } from './graph.ts';
import { chainEndingAt, indexPlan, isLayer, nodeOf } from './graph.ts';
import { identityJson } from './key.ts';
import { lockKeys } from './key-lock.ts';
import { createPlaces } from './places.ts';
import { beginBuild } from './prune.ts';
import type { Identified, Made, Run, RunTimes, WorkingState } from './run.ts';
import {
  foreseeIdentity,
  identityOf,
  keptIdentity,
  openStepInputs,
  runStep,
  settleIdentity,
  soundEntry,
  twinKey,
} from './run.ts';
import type { RecordedIdentity } from './record.ts';
import { offerEntry, sharedEntry } from './sharing.ts';
import type { Stage } from './staging.ts';
import type { Entry } from './store.ts';
import type { TreeViews } from './views.ts';
import { layerPaths, treeViews } from './views.ts';

export interface Execution {
  /** Results of the targets and of all that was made or read for them. */
  readonly results: ReadonlyMap<StepId, Made>;
  readonly times: RunTimes;
}

/** How many steps run at the same time unless the user says otherwise. */
export function defaultJobs(): number {
  return availableParallelism();
}

/**
 * Makes the results of `targets`, running only what the store does not have. Independent steps run side by side. When
 * one fails, nothing new begins, what runs is aborted, and the first cause is thrown after everything has come to rest:
 * no mount, process or staging directory of this run is left.
 * @throws MkimgError of the failing step, `disk-full`, or `interrupted`
 */
export async function execute(
  plan: Plan,
  environment: EngineEnvironment,
  targets: readonly StepId[] = outputSteps(plan),
): Promise<Execution> {
  await using _running = await beginBuild(environment);
  const stop = new AbortController();
  const signal = AbortSignal.any([environment.signal, stop.signal]);
  await using views = treeViews(environment.store, environment.mounter);
  const run = createRun(indexPlan(plan, environment.catalogue), environment, { stop, signal, views });
  const wanted = targets.map((id) => run.obtain(id));
  await beginMissing(run, { plan, targets });
  await Promise.allSettled(wanted);
  const settled = await settleAll(run);
  // Results may be moved away as soon as this returns.
  await environment.shared?.packed();
  await environment.digests.save();
  await environment.history?.save();
  if (environment.signal.aborted) throw interruption(environment.signal.reason);
  if (stop.signal.aborted) throw (stop.signal.reason as Failure).cause;
  return { results: settled, times: run.times };
}

/** Carries the first cause, so that aborting hands over nothing but errors. */
class Failure extends Error {
  override readonly name = 'Failure';
}

function createRun(
  graph: Graph,
  environment: EngineEnvironment,
  { stop, signal, views }: { stop: AbortController; signal: AbortSignal; views: TreeViews },
): Run {
  const run: Run = {
    graph,
    environment,
    signal,
    views,
    places: createPlaces({ jobs: environment.jobs, bytes: process.availableMemory() }),
    identities: new Map(),
    results: new Map(),
    twins: new Map(),
    unsettled: new Map(),
    parts: new Map(),
    checks: new Map(),
    times: { hits: 0, ran: 0, millisecondsByKind: new Map() },
    obtain: (id) => {
      const known = run.results.get(id) ?? obtain(run, nodeOf(graph, id));
      run.results.set(id, known);
      known.catch(() => undefined);
      return known;
    },
    fail: (cause) => {
      stop.abort(new Failure('a step failed', { cause }));
    },
  };
  return run;
}

/**
 * Begins what is certain to run. Where a step's key depends on what other steps make, nobody would ask for its other inputs
 * before these are there.
 */
async function beginMissing(
  run: Run,
  { plan, targets }: { readonly plan: Plan; readonly targets: readonly StepId[] },
): Promise<void> {
  let { environment } = run;
  const told = new Set<StepId>();
  while (!run.signal.aborted) {
    const { missing, telling } = await evaluate(plan, environment, targets);
    for (const id of missing) void run.obtain(id);
    const next = telling.filter((id) => !told.has(id));
    if (next.length === 0) return;
    await Promise.allSettled(next.map((id) => run.obtain(id)));
    for (const id of next) told.add(id);
    // The state of the world is now that of this run.
    environment = { ...environment, metadataPolicy: { ...environment.metadataPolicy, refresh: 'never' } };
  }
}

/** Waits until nothing runs any more; steps that wait for others may begin further ones meanwhile. */
async function settleAll(run: Run): Promise<ReadonlyMap<StepId, Made>> {
  let seen = -1;
  while (seen !== run.results.size) {
    seen = run.results.size;
    await Promise.allSettled(run.results.values());
  }
  const made = new Map<StepId, Made>();
  for (const [id, result] of run.results) {
    const [settled] = await Promise.allSettled([result]);
    if (settled.status === 'fulfilled') made.set(id, settled.value);
  }
  return made;
}

async function obtain(run: Run, node: Node): Promise<Made> {
  try {
    run.signal.throwIfAborted();
    const known = await foreseeIdentity(run, node.step.id);
    const twin = await twinKey(run, node, known);
    const first = run.twins.get(twin);
    if (first !== undefined) return await taken(run, node, await first);
    const own = findOrMake(run, node, known);
    run.twins.set(twin, own);
    return await own;
  } catch (error) {
    const cause = await explainFault(error, run.environment.store.layout.root);
    run.fail(cause);
    throw cause;
  }
}

async function findOrMake(run: Run, node: Node, known: Identified | undefined): Promise<Made> {
  if (known === undefined) return await make(run, node, known);
  const stored = await soundEntry(run, known.key);
  if (stored !== undefined) return await taken(run, node, { ...known, entry: stored });
  await using _lock = await lockKeys(run, [known.key], node.step.label);
  const others = await soundEntry(run, known.key);
  if (others !== undefined) return await taken(run, node, { ...known, entry: others });
  const shared = await sharedEntry(run, node, known.key);
  if (shared !== undefined) return await taken(run, node, { ...known, entry: shared, shared: true });
  return await make(run, node, known);
}

/** A result that need not be made. */
async function taken(
  run: Run,
  { step }: Node,
  { shared, ...made }: Made & { readonly shared?: boolean },
): Promise<Made> {
  const { events, history, onDecision } = run.environment;
  run.times.hits += 1;
  history?.note(step.id, made.identity);
  await onDecision?.({ step, state: 'hit', identity: made.identity });
  events.emit({
    ...{ type: 'step-hit', step: step.id, label: step.label, key: made.key },
    ...(shared === undefined ? {} : { shared }),
  });
  return made;
}

async function make(run: Run, node: Node, known: Identified | undefined): Promise<Made> {
  await using stage = await run.environment.store.stage();
  return await (node.implementation.output === 'tree'
    ? makeTree(run, node, stage)
    : makeFiles(run, { node, known, stage }));
}

async function makeFiles(
  run: Run,
  { node, known, stage }: { node: Node; known: Identified | undefined; stage: Stage },
): Promise<Made> {
  const { implementation } = node;
  if (implementation.output === 'tree') throw new Error('internal: a tree step is not a file step');
  await using opened = await openStepInputs(run, node, undefined);
  const target = hostPath(join(stage.entry, implementation.output));
  const meta = await runStep(run, { node, known, opened, stage }, (inputs, context) =>
    implementation.run(inputs, target, context),
  );
  const identified = known ?? (await settleIdentity(run, node));
  return await commit(run, { node, identified, stage, meta: meta ?? null, lower: undefined });
}

/** Runs a chain of tree steps on one working tree and commits what they changed as one layer. */
async function makeTree(run: Run, last: Node, stage: Stage): Promise<Made> {
  const chain = chainEndingAt(run.graph, last);
  const [first] = chain;
  if (first === undefined) throw new Error('internal: empty chain');
  // What later steps of the chain read can be made while earlier ones run.
  for (const { $ref } of chain.flatMap((node) => node.references)) {
    if (!nodeOf(run.graph, $ref).inner) void run.obtain($ref);
  }
  const lower = first.base === undefined ? undefined : (await run.obtain(first.base.$ref)).entry;
  const excerpts = await runChain(run, { chain, stage, lower });
  const earlier = await Promise.all(chain.slice(0, -1).map(({ step }) => recordedIdentity(run, step)));
  for (const { step } of chain) {
    run.environment.history?.note(step.id, (await identityOf(run, step.id)).identity);
  }
  const identified = await identityOf(run, last.step.id);
  return commit(run, { node: last, identified, stage, meta: null, lower, chain: earlier, excerpts });
}

interface ChainRun {
  readonly chain: readonly TreeNode[];
  readonly stage: Stage;
  readonly lower: Entry | undefined;
}

async function runChain(run: Run, { chain, stage, lower }: ChainRun): Promise<ExcerptStates> {
  const since = Date.now();
  const declared = new Map<ExcerptName, Json>();
  await using working = await (chain.some(isLayer) ? openLayer : openWorkingTree)(run, stage, lower);
  const { root, views } = working;
  const upper = hostPath(join(stage.entry, 'tree'));
  const layer = { upper, views, lower: lower?.record, declared, since };
  const stateOf = (excerpt: ExcerptName): Promise<string | undefined> => excerptDigest(excerpt, layer);
  for (const node of chain) await runChainStep(run, { node, root, stage, tree: { declared, stateOf } });
  return await excerptStates(layer);
}

async function recordedIdentity(run: Run, { id, label }: Step): Promise<RecordedIdentity> {
  return { label, identity: identityJson((await identityOf(run, id)).identity) };
}

interface ChainStep {
  readonly node: TreeNode;
  readonly root: HostPath;
  readonly stage: Stage;
  readonly tree: WorkingState;
}

async function runChainStep(run: Run, { node, root, stage, tree }: ChainStep): Promise<void> {
  const known = await identityOf(run, node.step.id);
  const working = node.base === undefined || isLayer(node) ? undefined : { step: node.base.$ref, root };
  await using opened = await openStepInputs(run, node, working);
  await runStep(run, { node, known, opened, stage, tree }, (inputs, context) =>
    node.implementation.run(inputs, root, context),
  );
}

interface WorkingTree extends AsyncDisposable {
  readonly root: HostPath;
  /** Directories that show together what the tree has. */
  readonly views: readonly HostPath[];
}

/** A new tree is a plain directory; a change to a stored one is an overlay, whose upper directory is the new layer. */
async function openWorkingTree(run: Run, stage: Stage, lower: Entry | undefined): Promise<WorkingTree> {
  const upper = await makeUpper(stage, lower);
  if (lower === undefined) {
    return { root: upper, views: [upper], [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  const { store, mounter } = run.environment;
  const layers = await layerPaths(lower, store);
  const target = stage.mountPoint;
  const mount = await mounter.writable({ layers, upper, work: stage.overlayWork, target });
  return { root: target, views: [target], [Symbol.asyncDispose]: () => mount[Symbol.asyncDispose]() };
}

/** The new layer as a plain directory, with what is below it to look at. */
async function openLayer(run: Run, stage: Stage, lower: Entry | undefined): Promise<WorkingTree> {
  const root = await makeUpper(stage, lower);
  const below = lower === undefined ? undefined : await run.views.open(lower);
  return {
    root,
    views: below === undefined ? [root] : [root, below.root],
    [Symbol.asyncDispose]: async () => below?.[Symbol.asyncDispose](),
  };
}

async function makeUpper(stage: Stage, lower: Entry | undefined): Promise<HostPath> {
  const upper = hostPath(join(stage.entry, 'tree'));
  await mkdir(upper);
  // Not left to the umask: this becomes the image's root directory.
  await chmod(upper, 0o755);
  if (lower !== undefined) await adoptAttributes(upper, lower.path);
  return upper;
}

/** The root of an overlay looks as its upper directory does, so that must look as the root below it. */
async function adoptAttributes(upper: HostPath, lower: HostPath): Promise<void> {
  const { mode, uid, gid } = await lstat(lower);
  await chown(upper, uid, gid);
  await chmod(upper, mode & 0o7777);
}

interface CommitRequest {
  readonly node: Node;
  readonly identified: Identified;
  readonly stage: Stage;
  readonly meta: Json;
  readonly lower: Entry | undefined;
  readonly chain?: readonly RecordedIdentity[];
  readonly excerpts?: ExcerptStates;
}

async function commit(
  run: Run,
  { node, identified, stage, meta, lower, chain = [], excerpts }: CommitRequest,
): Promise<Made> {
  // An aborted tool may have ended with success: what it left is not trusted.
  run.signal.throwIfAborted();
  const { step, implementation } = node;
  const kept = await keptIdentity(run, node, identified);
  const { store, history } = run.environment;
  const entry = await store.commit(stage, {
    key: kept.key,
    kind: step.kind,
    label: step.label,
    type: implementation.output,
    contentKeyed: implementation.output !== 'tree' && implementation.contentKeyed === true,
    lowerLayers: lower?.record.layers ?? [],
    meta,
    identity: identityJson(kept.identity),
    chain,
    ...(excerpts === undefined ? {} : { excerpts }),
  });
  run.checks.set(kept.key, Promise.resolve(undefined));
  history?.note(step.id, kept.identity);
  // Nobody asks for a result that is kept under a key of its own.
  if (kept.key === identified.key) offerEntry(run, node, entry);
  return { ...kept, entry };
}
