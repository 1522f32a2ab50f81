import type { StepId } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import { isObject } from '../base/canonical.ts';
import type { Plan, Step } from '../plan/step.ts';
import type { StepStatus } from './evaluate.ts';
import type { History } from './history.ts';
import type { IdentityChange, StepIdentity } from './key.ts';
import { programReferences } from './graph.ts';
import { compareIdentities, identityJson, referencesIn } from './key.ts';

/** Why the result of a step is not the one of last time. */
export type Cause =
  /** An input of `step` changed. */
  | { readonly kind: 'input'; readonly step: Step; readonly since: number; readonly change: IdentityChange }
  /** `step` had not been in the plan of this project. */
  | { readonly kind: 'new'; readonly step: Step }
  /** Nothing changed, but the result is not in the cache: it was trimmed, was damaged, or the step failed. */
  | { readonly kind: 'lost'; readonly step: Step }
  /** What `step` will make is not known before it runs. */
  | { readonly kind: 'unknown'; readonly step: Step };

/** What is known when the question is asked. */
export interface Inquiry {
  readonly plan: Plan;
  readonly history: History;
  /** undefined while it is not known. */
  identityOf(step: StepId): StepIdentity | undefined;
  isStored(step: StepId): boolean;
}

/** What an evaluation says, as the ground for an inquiry. */
export function inquiryOf(
  statuses: ReadonlyMap<StepId, StepStatus>,
  rest: Pick<Inquiry, 'plan' | 'history'>,
): Inquiry {
  return {
    ...rest,
    identityOf: (id) => {
      const status = statuses.get(id);
      return status === undefined || status.state === 'unknown' ? undefined : status.identity;
    },
    isStored: (id) => statuses.get(id)?.state === 'hit',
  };
}

/**
 * Compares a step with what it was made from last time, and goes back through the steps it takes results of to where the
 * difference came in. Empty when the result of last time is the wanted one and still there.
 */
export function causesOf(wanted: Step, inquiry: Inquiry): readonly Cause[] {
  const steps = new Map(inquiry.plan.steps.map((step) => [step.id, step]));
  const exploration: Exploration = { inquiry, steps, causes: [], explained: new Map() };
  if (!explore(wanted, exploration) && !inquiry.isStored(wanted.id)) return [{ kind: 'lost', step: wanted }];
  return exploration.causes;
}

interface Exploration {
  readonly inquiry: Inquiry;
  readonly steps: ReadonlyMap<StepId, Step>;
  readonly causes: Cause[];
  /** Steps that were looked at, and whether `causes` tells why they differ. */
  readonly explained: Map<StepId, boolean>;
}

/** Adds the causes of a step's difference; false when it does not differ. */
function explore(step: Step, exploration: Exploration): boolean {
  const known = exploration.explained.get(step.id);
  if (known !== undefined) return known;
  const differs = exploreStep(step, exploration);
  exploration.explained.set(step.id, differs);
  return differs;
}

function exploreStep(step: Step, exploration: Exploration): boolean {
  const { inquiry, causes } = exploration;
  const identity = inquiry.identityOf(step.id);
  if (identity === undefined) return exploreUnknown(step, exploration);
  const past = inquiry.history.past(step.id);
  if (past === undefined) {
    causes.push({ kind: 'new', step });
    // It may stand between others, one of which changed as well.
    for (const { $ref } of referencesIn(step.inputs)) {
      const source = inquiry.history.past($ref) === undefined ? undefined : exploration.steps.get($ref);
      if (source !== undefined) explore(source, exploration);
    }
    return true;
  }
  const changes = compareIdentities(comparable(past.identity), comparable(identityJson(identity)));
  for (const change of changes) {
    const source = sourceOf(step, change.path, exploration);
    // A list of packages is looked into: what it was asked for does not tell what came of it.
    const isExplained = source !== undefined && explore(source, exploration);
    if (isExplained && source.kind !== 'resolve-packages') continue;
    causes.push({ kind: 'input', step, since: past.at, change });
  }
  return changes.length > 0;
}

/** The first steps on the way here whose results nobody can foretell, or whose results are looked into and are gone. */
function exploreUnknown(step: Step, exploration: Exploration): boolean {
  const { inquiry, steps, causes } = exploration;
  const sources = [...referencesIn(step.inputs), ...programReferences(step)].flatMap(({ $ref }) => {
    const source = steps.get($ref);
    const isGone = source?.kind === 'resolve-packages' && !inquiry.isStored($ref);
    return source !== undefined && (inquiry.identityOf($ref) === undefined || isGone) ? [source] : [];
  });
  if (sources.length === 0) causes.push({ kind: 'unknown', step });
  for (const source of sources) {
    if (!explore(source, exploration)) causes.push({ kind: 'lost', step: source });
  }
  return true;
}

/** The step whose result stands at this place of the identity. */
function sourceOf(step: Step, path: string, { steps }: Exploration): Step | undefined {
  if (!path.endsWith('.$ref')) return undefined;
  const value = planValueAt(step, path);
  const id = isObject(value) ? value['$ref'] : undefined;
  return [...steps.values()].find((candidate) => candidate.id === id);
}

/** Versions of tools by name, so that one that comes or goes shifts no other. */
function comparable(identity: Json): Json {
  if (!isObject(identity)) return identity;
  const { tools, ...rest } = identity as Readonly<Record<string, Json>>;
  return { ...rest, ...(tools === undefined ? {} : { tools: toolVersions(tools) }) };
}

function toolVersions(tools: Json): Json {
  if (!Array.isArray(tools)) return tools;
  const pairs = (tools as readonly Json[]).filter((pair): pair is readonly Json[] => Array.isArray(pair));
  return Object.fromEntries(
    pairs.map(([tool, version]) => [typeof tool === 'string' ? tool : '', version ?? null]),
  );
}

/** What stands at a place of an identity (`inputs.trees.0.source`) in the plan: a path says more than its digest. */
export function planValueAt(step: Step, path: string): unknown {
  const names = path.split('.').filter((name) => !name.startsWith('$'));
  if (names[0] === 'tools') return step.tools.kind === 'tree' ? step.tools.tree : step.tools;
  return names.reduce<unknown>((value, name) => memberOf(value, name), step);
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.entries(value).find(([key]) => key === name)?.[1];
}
