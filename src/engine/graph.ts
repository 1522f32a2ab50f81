import type { StepId } from '../base/brand.ts';
import type { Plan, Ref, Step } from '../plan/step.ts';
import { outputSteps } from '../plan/step.ts';
import type { AnyStep, AnyTreeStep, Catalogue } from './environment.ts';
import { referencesIn } from './key.ts';

/** One step with what the engine looks up again and again. */
export interface Node {
  readonly step: Step;
  readonly implementation: AnyStep;
  /** References in its inputs, without the tools tree. */
  readonly references: readonly Ref[];
  /** The tree that this step changes; absent for the first of a tree, and for steps that fill an empty one. */
  readonly base: Ref | undefined;
  /** A tree step whose change is not committed alone, but with the next kept step of its chain. */
  readonly inner: boolean;
}

export type Graph = ReadonlyMap<StepId, Node>;

/**
 * Indexes a plan, checking what the engine relies on: steps stand after those they refer to, types agree, and a change
 * that is not kept has exactly one user, the next step on the same tree.
 * @throws Error (internal) when the plan is not so.
 */
export function indexPlan(plan: Plan, catalogue: Catalogue): Graph {
  const graph = new Map<StepId, Node>();
  const users = new Map<StepId, number>();
  for (const step of plan.steps) {
    if (graph.has(step.id)) throw new Error(`internal: two steps named ${step.id}`);
    const node = makeNode(step, catalogue[step.kind]);
    for (const ref of allReferences(node)) {
      checkReference(node, ref, graph.get(ref.$ref));
      users.set(ref.$ref, (users.get(ref.$ref) ?? 0) + 1);
    }
    graph.set(step.id, node);
  }
  for (const id of outputSteps(plan)) {
    if (nodeOf(graph, id).inner) throw new Error(`internal: the output ${id} is not kept`);
  }
  for (const { step, inner } of graph.values()) {
    const count = users.get(step.id) ?? 0;
    if (inner && count !== 1) throw new Error(`internal: ${step.id} is not kept but has ${count} users`);
  }
  for (const node of graph.values()) checkLayer(graph, node);
  return graph;
}

function checkLayer(graph: Graph, node: Node): void {
  if (!isLayer(node) || (!node.inner && chainEndingAt(graph, node).length === 1)) return;
  throw new Error(`internal: ${node.step.id} does not stand alone in its chain`);
}

function makeNode(step: Step, implementation: AnyStep): Node {
  const references = referencesIn(step.inputs);
  const isTree = implementation.output === 'tree';
  return {
    step,
    implementation,
    references,
    base: isTree && implementation.fresh !== true ? baseOf(step) : undefined,
    inner: isTree && !step.keep,
  };
}

function baseOf({ inputs }: Step): Ref | undefined {
  return 'base' in inputs ? inputs.base : undefined;
}

/** References in the inputs, the tools tree, and the emulator. */
export function allReferences({ step, references }: Node): readonly Ref[] {
  return [...references, ...programReferences(step)];
}

/** The steps that make what a step runs with. */
export function programReferences({ tools, emulator }: Step): readonly Ref[] {
  return [
    ...(tools.kind === 'tree' ? [tools.tree] : []),
    ...(emulator?.kind === 'program' ? [emulator.program] : []),
  ];
}

function checkReference({ step, base }: Node, ref: Ref, target: Node | undefined): void {
  if (target === undefined)
    throw new Error(`internal: ${step.id} refers to ${ref.$ref}, which does not stand before it`);
  if (ref.type === 'products' && target.implementation.output === 'tree' && !target.inner) return;
  if (target.implementation.output !== ref.type) {
    throw new Error(
      `internal: ${step.id} takes a ${ref.type}, but ${ref.$ref} makes a ${target.implementation.output}`,
    );
  }
  if (target.inner && base?.$ref !== ref.$ref) {
    throw new Error(`internal: ${step.id} reads ${ref.$ref}, which is not kept`);
  }
}

/** @throws Error (internal) for a step that the plan does not have. */
export function nodeOf(graph: Graph, id: StepId): Node {
  const node = graph.get(id);
  if (node === undefined) throw new Error(`internal: no step named ${id}`);
  return node;
}

/** A step that fills a layer without its tree; see TreeStep.layer. */
export function isLayer({ implementation }: Node): boolean {
  return implementation.output === 'tree' && implementation.layer === true;
}

/** A tree step of a chain. */
export type TreeNode = Node & { readonly implementation: AnyTreeStep };

/** The steps that run on one working tree and are committed together with the kept step `last`, in order. */
export function chainEndingAt(graph: Graph, last: Node): readonly TreeNode[] {
  const chain: TreeNode[] = [];
  for (let node: Node | undefined = last; node !== undefined; node = previousInner(graph, node)) {
    if (!isTreeNode(node)) throw new Error(`internal: ${node.step.id} stands in a chain of tree steps`);
    chain.unshift(node);
  }
  return chain;
}

function previousInner(graph: Graph, { base }: Node): Node | undefined {
  const previous = base === undefined ? undefined : nodeOf(graph, base.$ref);
  return previous?.inner === true ? previous : undefined;
}

function isTreeNode(node: Node): node is TreeNode {
  return node.implementation.output === 'tree';
}
