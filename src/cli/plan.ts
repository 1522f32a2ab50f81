import { ConfigurationError } from '../base/errors.ts';
import { closest } from '../base/suggestion.ts';
import type { Evaluation } from '../engine/evaluate.ts';
import { evaluate } from '../engine/evaluate.ts';
import type { Plan, Step } from '../plan/step.ts';
import { planDot } from './plan-dot.ts';
import { planText } from './plan-tree.ts';
import { imageOption } from './session/images.ts';
import { openBuildSession } from './session/session.ts';
import type { Verb } from './verb.ts';
import type { Answer } from './why/answer.ts';
import { answerWhy } from './why/answer.ts';
import { reasonText } from './why/text.ts';

export const planVerb: Verb = {
  name: 'plan',
  summary: 'Show the steps of a build and which of them would run',
  doc: `Prints the steps behind each output, each with what would happen to it: \`stored\` (its result is there),
\`run\`, \`may run\` (that depends on steps before it) or \`-\` (nobody needs it). \`--why\` takes the name of a step or of an
output and names what changed since the last build: files, settings with their lines, packages with their versions, tools.
\`--dot\` prints the graph for Graphviz. Nothing is run.`,
  answers: true,
  options: [
    { name: 'why', takesValue: true, summary: 'Name what changed since a step or an output was last made' },
    { name: 'dot', takesValue: false, summary: 'Print the graph in the language of Graphviz' },
    imageOption,
  ],
  run: async (context) => {
    const session = await openBuildSession(context);
    const evaluation = await evaluate(session.plan, session.environment);
    const { extra, json } = context.options;
    const why = extra['why'];
    if (why !== undefined) {
      const answer = await answerWhy(findStep(session.plan, why), session, evaluation);
      context.print(json ? JSON.stringify(answer, undefined, 2) : answerText(answer));
    } else if (extra['dot'] !== undefined) {
      context.print(planDot(session.plan, evaluation));
    } else {
      context.print(json ? planJson(session.plan, evaluation) : planText(session.plan, evaluation));
    }
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

/** A step by its name, or the one that makes an output of this name. */
function findStep(plan: Plan, name: string): Step {
  const outputs = plan.images.flatMap((image) => image.outputs);
  const output = outputs.find((candidate) => candidate.name === name || candidate.link === name);
  const found = plan.steps.find(({ id }) => id === (output?.from.$ref ?? name));
  if (found !== undefined) return found;
  const near = closest(name, [
    ...plan.steps.map(({ id }) => id),
    ...outputs.map((candidate) => candidate.name),
  ]);
  throw new ConfigurationError([
    {
      ...{ severity: 'error', code: 'unknown-step', message: `the plan has no step or output '${name}'` },
      ...{ origin: { kind: 'flag', text: `--why=${name}` } },
      hint: near === undefined ? "'mkimg plan' lists them." : `Did you mean ${near}?`,
    },
  ]);
}

function answerText({ step, since, reasons }: Answer): string {
  const last = since === undefined ? '' : ` since ${new Date(since).toISOString()}`;
  if (reasons.length === 0) return `${step}: nothing changed${last}`;
  return [`${step}: not as it was${last}`, ...reasons.map((reason) => `  ${reasonText(reason, step)}`)].join(
    '\n',
  );
}
