import type { StepId, StepKey } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import type { HostInput, Plan, Ref, Step } from '../plan/step.ts';
import { outputSteps } from '../plan/step.ts';
import type { StateContext, ToolNeed } from '../steps/implementation.ts';
import type { AnyStep, EvaluationEnvironment } from './environment.ts';
import type { Graph, Node } from './graph.ts';
import { allReferences, indexPlan, nodeOf } from './graph.ts';
import type { StepIdentity } from './key.ts';
import { inputIdentity, keyOf } from './key.ts';
import { excerptIdentity } from './excerpts.ts';
import type { StoreRecord } from './record.ts';
import type { Store } from './store.ts';

/** What is known of a step without running anything. */
export type StepStatus =
  /** The result is in the store. */
  | { readonly state: 'hit'; readonly identity: StepIdentity; readonly key: StepKey }
  | { readonly state: 'miss'; readonly identity: StepIdentity; readonly key: StepKey }
  /** A change that is committed together with a later step of its tree. */
  | { readonly state: 'inner'; readonly identity: StepIdentity; readonly key: StepKey }
  /** The key depends on something that only running can tell: the state of repositories, or content not made yet. */
  | { readonly state: 'unknown' };

export interface Evaluation {
  readonly statuses: ReadonlyMap<StepId, StepStatus>;
  /** Steps that will run, or may have to: everything that the targets need and that is no hit. In plan order. */
  readonly needed: readonly StepId[];
  /** Those of them that make results of their own and whose keys, which are not stored, nothing can change any more. */
  readonly missing: readonly StepId[];
  /** Those of them that have to run before keys of others are known. */
  readonly telling: readonly StepId[];
}

/**
 * Computes keys and looks them up, without a namespace and without a process.
 * @param targets steps whose results are wanted; the plan's outputs when absent.
 * @throws MkimgError `input-missing` when a host file of the configuration is gone.
 */
export async function evaluate(
  plan: Plan,
  environment: EvaluationEnvironment,
  targets: readonly StepId[] = outputSteps(plan),
): Promise<Evaluation> {
  const graph = indexPlan(plan, environment.catalogue);
  const statuses = new Map<StepId, StepStatus>();
  const settled = new Set<StepId>();
  for (const node of graph.values()) {
    statuses.set(node.step.id, await statusOf(node, { graph, statuses, settled, environment }));
  }
  await environment.digests.save();
  const needed = neededSteps(graph, statuses, targets);
  const missing = needed.filter((id) => settled.has(id) && statuses.get(id)?.state === 'miss');
  return {
    statuses,
    needed,
    missing,
    telling: needed.filter((id) => isTelling(nodeOf(graph, id), statuses)),
  };
}

/** True for a step that has to ask the world outside, or whose content counts and is not there, once it can run. */
function isTelling(node: Node, statuses: Evaluation['statuses']): boolean {
  const isKnown = ({ $ref }: Ref): boolean => statuses.get($ref)?.state !== 'unknown';
  const state = statuses.get(node.step.id)?.state;
  if (state === 'miss') return isContentKeyed(node);
  return state === 'unknown' && asksOutside(node) && allReferences(node).every(isKnown);
}

interface Evaluating {
  readonly graph: Graph;
  readonly statuses: ReadonlyMap<StepId, StepStatus>;
  /** Steps whose keys are what they will be when all before them has run. */
  readonly settled: Set<StepId>;
  readonly environment: EvaluationEnvironment;
}

async function statusOf(node: Node, evaluating: Evaluating): Promise<StepStatus> {
  const { environment, settled } = evaluating;
  const upstream = new Map<Ref, Json>();
  let isSettled = true;
  for (const ref of allReferences(node)) {
    const known = await knownIdentity(ref, evaluating);
    if (known === undefined) return { state: 'unknown' };
    upstream.set(ref, known.identity);
    isSettled &&= known.isSettled;
  }
  const lookUp = (ref: Ref): Promise<Json> => Promise.resolve(upstream.get(ref) ?? null);
  const identity = await identify(node, environment, lookUp);
  if (identity === undefined) return { state: 'unknown' };
  if (isSettled) settled.add(node.step.id);
  const key = keyOf(identity);
  if (node.inner) return { state: 'inner', identity, key };
  return { state: (await isHit(environment.store, key)) ? 'hit' : 'miss', identity, key };
}

/** Of a tree that is not made yet, it is not known what its excerpts will be: then it counts as a whole. */
async function knownIdentity(
  ref: Ref,
  { graph, statuses, settled, environment }: Evaluating,
): Promise<{ readonly identity: Json; readonly isSettled: boolean } | undefined> {
  const status = statuses.get(ref.$ref);
  if (status === undefined || status.state === 'unknown') return undefined;
  const node = nodeOf(graph, ref.$ref);
  const isSettled = settled.has(ref.$ref);
  if (isKeyOnly(node, ref)) return { identity: status.key, isSettled };
  const record = (await environment.store.find(status.key))?.record;
  if (record !== undefined) return { identity: resultIdentity(node, ref, record), isSettled };
  return isContentKeyed(node) ? undefined : { identity: status.key, isSettled: false };
}

/** True when a reference to a step counts as the step's key, whatever comes out of it. */
export function isKeyOnly(node: Node, { excerpts }: Ref): boolean {
  return excerpts === undefined && !isContentKeyed(node);
}

/** What a reference to a step counts as in keys, given the step's result. */
export function resultIdentity(node: Node, ref: Ref, record: StoreRecord): Json {
  if (isContentKeyed(node)) return record.content ?? null;
  return excerptIdentity(ref, record) ?? record.key;
}

/** True when later steps are keyed by the content of this step's output. */
export function isContentKeyed({ implementation }: Node): boolean {
  return implementation.output !== 'tree' && implementation.contentKeyed === true;
}

/** True when the entry is there, and for a tree all entries of its layers. Their insides are checked when they are used. */
export async function isHit(store: Store, key: StepKey): Promise<boolean> {
  const entry = await store.find(key);
  if (entry === undefined) return false;
  const lower = entry.record.layers.filter((layer) => layer !== key);
  const found = await Promise.all(lower.map((layer) => store.find(layer)));
  return found.every((layer) => layer !== undefined);
}

/**
 * All that enters a step's key; undefined while the state of the world outside is not known.
 * @param reference what a step that this one refers to counts as.
 */
export async function identify(
  node: Node,
  environment: EvaluationEnvironment,
  reference: (ref: Ref) => Promise<Json>,
): Promise<StepIdentity | undefined> {
  const state = await outsideState(node, environment);
  if (state === unknownState) return undefined;
  const identity = await identifyInputs(node, environment, reference);
  return state === undefined ? identity : { ...identity, state };
}

/** The same without the state of the world outside. */
export async function identifyInputs(
  { step, implementation }: Node,
  environment: EvaluationEnvironment,
  reference: (ref: Ref) => Promise<Json>,
): Promise<StepIdentity> {
  const { tools } = step;
  const count = { ref: reference, host: (input: HostInput) => environment.digests.digest(input) };
  const emulator = await inputIdentity(step.emulator, count);
  return {
    kind: step.kind,
    version: implementation.version,
    inputs: (await inputIdentity(step.inputs, count)) ?? {},
    tools:
      tools.kind === 'tree'
        ? { $ref: await reference(tools.tree) }
        : await environment.identifyTools(keyTools(step, implementation), tools),
    ...(emulator === undefined ? {} : { emulator }),
    ownership: environment.ownership,
  };
}

function keyTools({ inputs }: Step, implementation: AnyStep): readonly ToolNeed[] {
  const { tools } = implementation;
  return implementation.output === 'tree' ? tools : (implementation.keyTools?.(inputs) ?? tools);
}

function asksOutside({ implementation }: Node): boolean {
  return implementation.output !== 'tree' && implementation.state !== undefined;
}

const unknownState = Symbol('unknown state');

async function outsideState(
  { step, implementation }: Node,
  environment: EvaluationEnvironment,
): Promise<string | undefined | typeof unknownState> {
  if (implementation.output === 'tree' || implementation.state === undefined) return undefined;
  return (await implementation.state(step.inputs, stateContext(environment))) ?? unknownState;
}

function stateContext({ store, metadataPolicy }: EvaluationEnvironment): StateContext {
  return { metadataCache: store.layout.metadata, metadataPolicy };
}

function neededSteps(
  graph: Graph,
  statuses: ReadonlyMap<StepId, StepStatus>,
  targets: readonly StepId[],
): readonly StepId[] {
  const needed = new Set<StepId>();
  const pending = [...targets];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    if (needed.has(id) || statuses.get(id)?.state === 'hit') continue;
    needed.add(id);
    pending.push(...allReferences(nodeOf(graph, id)).map(({ $ref }) => $ref));
  }
  return [...graph.keys()].filter((id) => needed.has(id));
}
