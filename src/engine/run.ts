import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { HostPath, StepId, StepKey } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import { MkimgError } from '../base/errors.ts';
import type { ExcerptName } from '../plan/excerpts.ts';
import type { Ref } from '../plan/step.ts';
import type { BuildContext } from '../steps/implementation.ts';
import type { EngineEnvironment } from './environment.ts';
import { identify, identifyInputs, isKeyOnly, resultIdentity } from './evaluate.ts';
import { explainStepFault, keepSandbox } from './faults.ts';
import type { Graph, Node } from './graph.ts';
import { allReferences, nodeOf } from './graph.ts';
import type { OpenedInputs } from './inputs.ts';
import { openInputs } from './inputs.ts';
import type { StepIdentity } from './key.ts';
import { hostInputsIn, keyOf } from './key.ts';
import { productsPath } from './layout.ts';
import { acquireLock } from './lock.ts';
import { partStore } from './parts.ts';
import type { Places } from './places.ts';
import type { Stage } from './staging.ts';
import type { Entry } from './store.ts';
import type { TreeViews } from './views.ts';

/** A step's key with what it was computed from. */
export interface Identified {
  readonly identity: StepIdentity;
  readonly key: StepKey;
}

/** A step's result in the store. */
export interface Made extends Identified {
  readonly entry: Entry;
}

/** What a run spent and saved. */
export interface RunTimes {
  hits: number;
  ran: number;
  /** Time inside steps by kind; steps run at the same time, so the sum may exceed the run's time. */
  readonly millisecondsByKind: Map<string, number>;
}

/** The state of one run of the executor. */
export interface Run {
  readonly graph: Graph;
  readonly environment: EngineEnvironment;
  /** Aborted by the user or by the first failure. */
  readonly signal: AbortSignal;
  readonly views: TreeViews;
  /** Where steps run, within the limits of jobs and memory. */
  readonly places: Places;
  readonly identities: Map<StepId, Promise<Identified | undefined>>;
  readonly results: Map<StepId, Promise<Made>>;
  /** Results by key, or by what is known of one before the step runs: two steps with the same inputs are one. */
  readonly twins: Map<StepKey, Promise<Made>>;
  /** Steps that wrote to their own inputs, so that nobody can tell what they were made from: a mark for their keys. */
  readonly unsettled: Map<StepId, string>;
  /** Directories of parts by key, each found or made once in a run. */
  readonly parts: Map<StepKey, Promise<HostPath>>;
  /** Faults of entries by key, each checked once in a run. */
  readonly checks: Map<StepKey, Promise<string | undefined>>;
  readonly times: RunTimes;
  /** Makes a step's result, or finds it; each step once. */
  obtain(id: StepId): Promise<Made>;
  /** Ends the run; the first cause counts. */
  fail(cause: unknown): void;
}

/** The identity of a step, running it if its key cannot be told before. */
export async function identityOf(run: Run, id: StepId): Promise<Identified> {
  return (await foreseeIdentity(run, id)) ?? run.obtain(id);
}

/** The identity of a step if it is known before the step runs; steps that it refers to may have to run for it. */
export function foreseeIdentity(run: Run, id: StepId): Promise<Identified | undefined> {
  const known = run.identities.get(id) ?? computeIdentity(run, nodeOf(run.graph, id));
  run.identities.set(id, known);
  // Whoever asked sees the error; a later asker must not be the only one that would have handled it.
  known.catch(() => undefined);
  return known;
}

/** The identity after a run that updated the state of the world, which is then taken as it stands. */
export async function settleIdentity(run: Run, node: Node): Promise<Identified> {
  const metadataPolicy = { ...run.environment.metadataPolicy, refresh: 'never' as const };
  const settled = await computeIdentity(run, node, { ...run.environment, metadataPolicy });
  if (settled === undefined)
    throw new Error(`internal: ${node.step.id} ran, and its state is still not known`);
  return settled;
}

/** Names a step by all that is known before it runs: its key, or its key but for the state of the world outside. */
export async function twinKey(run: Run, node: Node, known: Identified | undefined): Promise<StepKey> {
  if (known !== undefined) return known.key;
  return keyOf(await identifyInputs(node, run.environment, (ref) => referenceIdentity(run, ref)));
}

/**
 * The identity under which a result is kept. It is the one that was foreseen, unless this step or one before it wrote to its
 * own inputs: such a result has a key that nobody ever asks for again.
 */
export async function keptIdentity(run: Run, node: Node, foreseen: Identified): Promise<Identified> {
  if (run.unsettled.size === 0) return foreseen;
  const identity = await identifyInputs(node, run.environment, (ref) => keptReference(run, ref));
  const { state } = foreseen.identity;
  const mark = run.unsettled.get(node.step.id);
  const marks = [state, mark].filter((part) => part !== undefined).join(' ');
  const kept = marks === '' ? identity : { ...identity, state: marks };
  return { identity: kept, key: keyOf(kept) };
}

async function keptReference(run: Run, ref: Ref): Promise<Json> {
  const node = nodeOf(run.graph, ref.$ref);
  if (node.inner) return (await keptIdentity(run, node, await identityOf(run, ref.$ref))).key;
  return resultIdentity(node, ref, (await run.obtain(ref.$ref)).entry.record);
}

async function computeIdentity(
  run: Run,
  node: Node,
  environment: EngineEnvironment = run.environment,
): Promise<Identified | undefined> {
  const identity = await identify(node, environment, (ref) => referenceIdentity(run, ref));
  return identity === undefined ? undefined : { identity, key: keyOf(identity) };
}

async function referenceIdentity(run: Run, ref: Ref): Promise<Json> {
  const { $ref } = ref;
  const node = nodeOf(run.graph, $ref);
  if (isKeyOnly(node, ref)) return (await identityOf(run, $ref)).key;
  const known = await foreseeIdentity(run, $ref);
  const entry = known === undefined ? undefined : await run.environment.store.find(known.key);
  return resultIdentity(node, ref, (entry ?? (await run.obtain($ref)).entry).record);
}

/** An entry that is there and sound. A damaged one is reported and removed, so that it is made again. */
export async function soundEntry(run: Run, key: StepKey): Promise<Entry | undefined> {
  const { store } = run.environment;
  const entry = await store.find(key);
  if (entry === undefined) return undefined;
  const all = [...new Set([...entry.record.layers, key])];
  // Before they are looked at: who trims the cache leaves alone what was touched.
  for (const part of all) await store.touch(part);
  const parts = await Promise.all(all.map((part) => soundPart(run, part)));
  if (parts.includes(false)) {
    await store.remove(key);
    return undefined;
  }
  return entry;
}

async function soundPart(run: Run, key: StepKey): Promise<boolean> {
  const { store, events } = run.environment;
  const part = await store.find(key);
  if (part === undefined) return false;
  const check = run.checks.get(key) ?? store.check(part, 'use');
  run.checks.set(key, check);
  const fault = await check;
  if (fault === undefined) return true;
  events.emit({
    ...{ type: 'note', level: 'warning', code: 'cache-damaged' },
    message: `The stored result of '${part.record.label}' is damaged (${fault}); it is made again`,
  });
  await store.remove(key);
  // Another build may make it again before this one looks for it once more.
  run.checks.delete(key);
  return false;
}

/** Makes the results that a step needs, and opens them for it. */
export async function openStepInputs(
  run: Run,
  node: Node,
  working: { readonly step: StepId; readonly root: HostPath } | undefined,
): Promise<OpenedInputs> {
  const { step } = node;
  const wanted = allReferences(node).filter(({ $ref }) => $ref !== working?.step);
  const entries = await Promise.all(
    wanted.map(async ({ $ref }) => [$ref, (await run.obtain($ref)).entry] as const),
  );
  return openInputs(step.inputs, {
    entries: new Map(entries),
    working,
    toolsTree: step.tools.kind === 'tree' ? step.tools.tree : undefined,
    emulator: step.emulator,
    secrets: run.environment.secrets,
    views: run.views,
  });
}

/** A step that is about to run. */
export interface StepRun {
  readonly node: Node;
  readonly known: Identified | undefined;
  readonly opened: OpenedInputs;
  readonly stage: Stage;
  /** Tree steps. */
  readonly tree?: WorkingState;
}

/** What is known of a tree while steps work on it; see BuildContext. */
export interface WorkingState {
  /** What its steps say that it was made from. */
  readonly declared: Map<ExcerptName, Json>;
  stateOf(excerpt: ExcerptName): Promise<string | undefined>;
}

/** Bytes of memory that a step is taken to need unless it says more. */
const usualMemory = 128 << 20;

/** What runs a step's implementation, once its inputs are open. */
export type StepAction<T> = (inputs: unknown, context: BuildContext) => Promise<T>;

/** Runs one step in one of the run's places, with events and times. */
export async function runStep<T>(
  run: Run,
  { node, known, opened, stage, tree }: StepRun,
  action: StepAction<T>,
): Promise<T> {
  return run.places.use(node.implementation.memory ?? usualMemory, async () => {
    run.signal.throwIfAborted();
    const { step } = node;
    const { events, store } = run.environment;
    const started = performance.now();
    const common = { step: step.id, label: step.label };
    await run.environment.onDecision?.({ step, state: 'run', identity: known?.identity });
    events.emit({ type: 'step-started', ...common, key: known?.key ?? '' });
    const products = productsPath(join(stage.entry, 'tree'));
    const context = buildContext(run, { node, opened, work: await stage.scratch(), products, tree });
    try {
      const result = await action(opened.inputs, context);
      await checkInputs(run, node);
      const milliseconds = elapsed(started);
      count(run.times, step.kind, milliseconds);
      events.emit({ type: 'step-finished', ...common, milliseconds });
      return result;
    } catch (error) {
      const isFirst = !run.signal.aborted;
      if (isFirst) events.emit({ type: 'step-failed', ...common, milliseconds: elapsed(started) });
      const needs = {
        stated: async () => node.implementation.needs?.(opened.inputs),
        made: () => inputBytes(run, node),
      };
      const fault = await explainStepFault(error, { store, step, needs });
      const cause = isFirst ? await keepSandbox(fault, stage) : fault;
      // Before the place is free for the next step.
      run.fail(cause);
      throw cause;
    }
  });
}

/** Bytes of the trees and files that a step is made from. */
async function inputBytes(run: Run, node: Node): Promise<number> {
  const { store } = run.environment;
  const results = await Promise.allSettled(node.references.map(async ({ $ref }) => run.results.get($ref)));
  const records = results.flatMap((made) =>
    made.status === 'fulfilled' ? (made.value?.entry.record ?? []) : [],
  );
  const keys = records.flatMap(({ key, layers }) => [key, ...layers]);
  const entries = await Promise.all([...new Set(keys)].map((key) => store.find(key)));
  return entries.reduce((sum, entry) => sum + (entry?.record.bytes ?? 0), 0);
}

/**
 * A result may only be kept under the key of what it was made from.
 * @throws MkimgError `input-changed` when a file of the user's is not what it was when the key was computed
 */
async function checkInputs(run: Run, { step, implementation }: Node): Promise<void> {
  const { digests, events } = run.environment;
  const own = implementation.output === 'tree' ? (implementation.mayChange?.(step.inputs) ?? []) : [];
  for (const input of hostInputsIn(step.inputs)) {
    const change = await digests.changeOf(input);
    if (change === undefined) continue;
    if (!own.includes(input)) throw inputChanged(change, step);
    run.unsettled.set(step.id, `unsettled ${randomUUID()}`);
    events.emit({
      ...{ type: 'note', level: 'info', code: 'sources-changed' },
      message: `${change} was changed while '${step.label}' ran; the result is used, but not for later builds`,
    });
  }
}

function inputChanged(change: string, { label }: Node['step']): MkimgError {
  return new MkimgError('input-changed', `${change} was changed while '${label}' ran`, {
    hint: 'Build again: nothing of what was made from it is kept.',
  });
}

function elapsed(started: number): number {
  return Math.round(performance.now() - started);
}

function count(times: RunTimes, kind: string, milliseconds: number): void {
  times.ran += 1;
  times.millisecondsByKind.set(kind, (times.millisecondsByKind.get(kind) ?? 0) + milliseconds);
}

interface ContextParts {
  readonly node: Node;
  readonly opened: OpenedInputs;
  readonly work: HostPath;
  readonly products: HostPath;
  readonly tree: WorkingState | undefined;
}

function buildContext(run: Run, { node, opened, work, products, tree }: ContextParts): BuildContext {
  const { environment, signal } = run;
  const { events, store, jobs, metadataPolicy } = environment;
  const { step } = node;
  return {
    events,
    sandbox: environment.sandboxFor({
      ...{ step: step.id, signal, tools: toolsRoot(node, opened) },
      ...(opened.emulator === undefined ? {} : { emulator: opened.emulator }),
    }),
    work,
    products,
    packagePool: store.layout.packages,
    parts: partStore(run, step.id),
    metadataCache: store.layout.metadata,
    ...(environment.shared === undefined ? {} : { sharedFiles: environment.shared.files }),
    signal,
    origin: step.origin,
    metadataPolicy,
    jobs,
    madeFrom: (excerpt, identity) => void tree?.declared.set(excerpt, identity),
    stateOf: async (excerpt) => tree?.stateOf(excerpt),
    lock: (path) => acquireLock(path, { signal }),
    progress: (done, total, ...[unit, note]) => {
      events.emit({
        ...{ type: 'step-progress', step: step.id, done, unit },
        ...(total === undefined ? {} : { total }),
        ...(note === undefined ? {} : { note }),
      });
    },
  };
}

function toolsRoot(
  { step }: Node,
  { toolsTree }: OpenedInputs,
): Parameters<EngineEnvironment['sandboxFor']>[0]['tools'] {
  if (step.tools.kind === 'host') return { kind: 'host' };
  if (step.tools.kind === 'path') return { kind: 'tree', path: step.tools.path };
  if (toolsTree === undefined) throw new Error('internal: the tools tree was not opened');
  return { kind: 'tree', path: toolsTree };
}
