import { ConfigurationError } from '../base/errors.ts';
import { closest } from '../base/suggestion.ts';
import type { Evaluation, StepStatus } from '../engine/evaluate.ts';
import { evaluate } from '../engine/evaluate.ts';
import { explain, planValueAt } from '../engine/explain.ts';
import type { IdentityChange } from '../engine/key.ts';
import type { Plan, Step } from '../plan/step.ts';
import type { BuildSession } from './session/session.ts';
import { openBuildSession } from './session/session.ts';
import type { Verb, VerbContext } from './verb.ts';

export const planVerb: Verb = {
  name: 'plan',
  summary: 'Show the steps of a build and which of them would run',
  doc: `Prints the steps of a build in their order, each with what would happen to it: \`stored\` (its result is there),
\`run\`, \`may run\` (that depends on steps before it) or \`-\` (nobody needs it). \`--why STEP\` names the inputs of a step
that changed since it last ran. Nothing is run.`,
  answers: true,
  options: [
    { name: 'why', takesValue: true, summary: 'Name the inputs of a step that changed since it ran' },
  ],
  run: async (context) => {
    const session = await openBuildSession(context);
    const evaluation = await evaluate(session.plan, session.environment);
    const { extra, json } = context.options;
    const why = extra['why'];
    if (why !== undefined) return printWhy(findStep(session.plan, why), { session, evaluation, context });
    context.print(json ? planJson(session.plan, evaluation) : planText(session.plan, evaluation));
    return 0;
  },
};

/** The plan as it is, with what is known of each step. */
export function planJson(plan: Plan, { statuses, needed }: Evaluation): string {
  const steps = plan.steps.map((step) => {
    const status = statuses.get(step.id);
    const key = status === undefined || status.state === 'unknown' ? {} : { key: status.key };
    return { ...step, ...key, state: status?.state ?? 'unknown', needed: needed.includes(step.id) };
  });
  return JSON.stringify({ ...plan, steps }, undefined, 2);
}

/** One line for each step, then the outputs. */
export function planText(plan: Plan, { statuses, needed }: Evaluation): string {
  const width = Math.max(0, ...plan.steps.map(({ id }) => id.length));
  const lines = plan.steps.map(({ id, label }) => {
    const word = stateWord(statuses.get(id), needed.includes(id));
    return `${word.padEnd(8)} ${id.padEnd(width)}  ${label}`;
  });
  const summary = `${needed.length} of ${plan.steps.length} steps would run`;
  const outputs = plan.images.flatMap(({ image, directory, outputs: files }) => [
    `${image}, in ${directory}:`,
    ...files.map(({ name, from }) => `         ${name}  from ${from.$ref}`),
  ]);
  return [...lines, '', summary, ...outputs].join('\n');
}

function stateWord(status: StepStatus | undefined, isNeeded: boolean): string {
  if (status?.state === 'hit') return 'stored';
  if (!isNeeded) return '-';
  return status === undefined || status.state === 'unknown' ? 'may run' : 'run';
}

function findStep(plan: Plan, name: string): Step {
  const found = plan.steps.find(({ id }) => id === name);
  if (found !== undefined) return found;
  const near = closest(
    name,
    plan.steps.map(({ id }) => id),
  );
  throw new ConfigurationError([
    {
      ...{ severity: 'error', code: 'unknown-step', message: `the plan has no step '${name}'` },
      ...{ origin: { kind: 'flag', text: `--why=${name}` } },
      hint: near === undefined ? "'mkimg plan' lists them." : `Did you mean ${near}?`,
    },
  ]);
}

interface WhyContext {
  readonly session: BuildSession;
  readonly evaluation: Evaluation;
  readonly context: VerbContext;
}

async function printWhy(step: Step, { session, evaluation, context }: WhyContext): Promise<number> {
  const status = evaluation.statuses.get(step.id);
  const explanation =
    status === undefined || status.state === 'unknown'
      ? undefined
      : await explain(step, status.identity, session.environment.store);
  if (context.options.json) {
    context.print(
      JSON.stringify({ step: step.id, state: status?.state ?? 'unknown', ...explanation }, undefined, 2),
    );
    return 0;
  }
  if (explanation === undefined) {
    context.print(
      status?.state === 'unknown'
        ? `${step.id}: what it depends on is not known before other steps ran`
        : `${step.id}: it never ran, or its results were pruned`,
    );
    return 0;
  }
  const since = new Date(explanation.previous).toISOString();
  const { changes } = explanation;
  context.print(
    changes.length === 0
      ? `${step.id}: nothing changed since ${since}`
      : [`${step.id}: changed since ${since}`, ...changes.map((change) => changeLine(step, change))].join(
          '\n',
        ),
  );
  return 0;
}

/** A digest says nothing to people: for files and references, what the plan has in that place is shown. */
function changeLine(step: Step, { path, before, after }: IdentityChange): string {
  const isDigest = /\.\$\w+$/.test(path);
  const there = isDigest ? planValueAt(step, path) : undefined;
  if (there !== undefined)
    return `  ${path.replace(/\.\$\w+$/, '')}: ${JSON.stringify(there)} has other content`;
  return `  ${path}: ${shown(before)} became ${shown(after)}`;
}

function shown(value: unknown): string {
  return value === undefined ? '(nothing)' : JSON.stringify(value);
}
