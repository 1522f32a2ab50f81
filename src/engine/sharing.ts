import type { StepId, StepKey } from '../base/brand.ts';
import { isContentKeyed } from './evaluate.ts';
import type { Graph, Node } from './graph.ts';
import { allReferences, nodeOf } from './graph.ts';
import { isSpecial } from './key.ts';
import type { Run } from './run.ts';
import { soundEntry } from './run.ts';
import type { Entry } from './store.ts';

/** A result that another machine made, once it is in the store; undefined when it is not to be had. */
export async function sharedEntry(run: Run, node: Node, key: StepKey): Promise<Entry | undefined> {
  const { shared, events } = run.environment;
  if (shared === undefined || !isShareable(run.graph, node)) return undefined;
  const { id: step, label } = node.step;
  const announced = { done: false };
  const pulled = await shared.pull(key, {
    contentKeyed: isContentKeyed(node),
    progress: (done, total) => {
      if (!announced.done) events.emit({ type: 'fetch-started', step, label });
      announced.done = true;
      events.emit({ type: 'step-progress', step, done, total, unit: 'bytes' });
    },
  });
  if (announced.done) events.emit({ type: 'fetch-ended', step, label, ok: pulled });
  // A layer below that was found damaged has come again.
  run.checks.delete(key);
  return pulled ? soundEntry(run, key) : undefined;
}

/** Lets other machines have a result that was made here. */
export function offerEntry(run: Run, node: Node, entry: Entry): void {
  const { shared } = run.environment;
  if (shared !== undefined && isShareable(run.graph, node)) shared.offer(entry);
}

/**
 * Whether a result may leave the machine and others may be of use here. What a secret went into is not shared: it may hold
 * the secret. Nor is what depends on the state of the world outside, which a machine must know before it has the key, or
 * what is made again in each build, because nobody will ask for it.
 */
export function isShareable(graph: Graph, node: Node): boolean {
  const { implementation } = node;
  const isStateful = implementation.output !== 'tree' && implementation.state !== undefined;
  return !isStateful && !isPrivate(graph, node, new Set());
}

/** True when a step, or one that it builds on, has a secret among its inputs, or runs in each build. */
function isPrivate(graph: Graph, node: Node, seen: Set<StepId>): boolean {
  if (seen.has(node.step.id)) return false;
  seen.add(node.step.id);
  return (
    'again' in node.step.inputs ||
    holdsSecret(node.step.inputs) ||
    allReferences(node).some(({ $ref }) => isPrivate(graph, nodeOf(graph, $ref), seen))
  );
}

function holdsSecret(value: unknown): boolean {
  if (value === null || typeof value !== 'object') return false;
  if (isSpecial(value)) return '$secret' in value;
  return Object.values(value).some(holdsSecret);
}
