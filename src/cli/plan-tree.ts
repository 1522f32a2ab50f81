import type { StepId } from '../base/brand.ts';
import type { Evaluation, StepStatus } from '../engine/evaluate.ts';
import { programReferences } from '../engine/graph.ts';
import { referencesIn } from '../engine/key.ts';
import type { Plan, Step } from '../plan/step.ts';
import { outputSteps } from '../plan/step.ts';

/** What would happen to a step: `stored`, `run`, `may run` (that depends on others), or `-` (nobody needs it). */
export function stateWord(status: StepStatus | undefined, isNeeded: boolean): string {
  if (status?.state === 'hit') return 'stored';
  if (!isNeeded) return '-';
  return status === undefined || status.state === 'unknown' ? 'may run' : 'run';
}

/** Ids of the steps whose results a step takes, the tree that it works on last, each once. */
export function sourcesOf(step: Step): readonly StepId[] {
  const { inputs } = step;
  const main = 'base' in inputs ? inputs.base : 'tree' in inputs ? inputs.tree : undefined;
  const all = referencesIn(inputs).map(({ $ref }) => $ref);
  const rest = main === undefined ? all : [...all.filter((id) => id !== main.$ref), main.$ref];
  return [...new Set([...programReferences(step).map(({ $ref }) => $ref), ...rest])];
}

/**
 * The plan as a tree for each output: a step, below it what it takes. A chain of changes of one tree goes straight down;
 * what comes in from the side is indented. Of a step that was shown before, only the name is shown again.
 */
export function planText(plan: Plan, { statuses, needed }: Evaluation): string {
  const drawing: Drawing = {
    steps: new Map(plan.steps.map((step) => [step.id, step])),
    word: (id) => stateWord(statuses.get(id), needed.includes(id)),
    taken: new Set(),
    drawn: new Set(),
    rows: [],
  };
  const lines: string[] = [];
  for (const { directory, outputs } of plan.images) {
    for (const { name, from } of outputs) {
      drawing.rows.length = 0;
      drawSpine(from.$ref, '', drawing);
      lines.push(`${directory}/${name}`, ...rowTexts(drawing.rows), '');
    }
  }
  // A plan that only makes tools has no outputs.
  if (outputSteps(plan).length === 0) {
    const last = plan.steps.at(-1);
    if (last !== undefined) drawSpine(last.id, '', drawing);
    lines.push(...rowTexts(drawing.rows), '');
  }
  return [...lines, `${needed.length} of ${plan.steps.length} steps would run`].join('\n');
}

interface Row {
  readonly word: string;
  /** The lines of the tree and the step's name. */
  readonly text: string;
  readonly label: string;
}

interface Drawing {
  readonly steps: ReadonlyMap<StepId, Step>;
  readonly taken: Set<StepId>;
  readonly drawn: Set<StepId>;
  readonly rows: Row[];
  word(id: StepId): string;
}

/** A step and all that it takes; `indent` stands before each of its lines. */
function drawSpine(start: StepId, indent: string, drawing: Drawing): void {
  const spine = spineFrom(start, drawing);
  for (const [index, { id, isNew, sides, label }] of spine.entries()) {
    const lead = index === 0 && indent !== '' ? `${indent.slice(0, -2)}├ ` : indent;
    const place = drawing.drawn.has(id) ? '(see above)' : '(see below)';
    drawing.rows.push({ word: drawing.word(id), text: lead + id, label: isNew ? label : place });
    if (!isNew) continue;
    drawing.drawn.add(id);
    for (const side of sides) drawSpine(side, `${indent}│ `, drawing);
  }
}

interface Vertebra {
  readonly id: StepId;
  readonly label: string;
  /** What comes in from the side. */
  readonly sides: readonly StepId[];
  readonly isNew: boolean;
}

/** The steps straight down from `start`. All of them are taken before the sides are drawn, which may lead to them too. */
function spineFrom(start: StepId, { steps, taken }: Drawing): readonly Vertebra[] {
  const spine: Vertebra[] = [];
  for (let id: StepId | undefined = start; id !== undefined;) {
    const step = steps.get(id);
    if (step === undefined) throw new Error(`internal: no step named ${id}`);
    const isNew: boolean = !taken.has(id);
    const sources = sourcesOf(step);
    const label = step.label.replace(/^[^:]*: /, '');
    spine.push({ id, label, isNew, sides: sources.slice(0, -1) });
    taken.add(id);
    id = isNew ? sources.at(-1) : undefined;
  }
  return spine;
}

function rowTexts(rows: readonly Row[]): string[] {
  const width = Math.max(0, ...rows.map(({ text }) => text.length));
  return rows.map(({ word, text, label }) => `${word.padEnd(8)} ${text.padEnd(width)}  ${label}`);
}
