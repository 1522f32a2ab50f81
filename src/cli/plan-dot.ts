import type { Evaluation } from '../engine/evaluate.ts';
import type { Plan, Step } from '../plan/step.ts';
import { sourcesOf, stateWord } from './plan-tree.ts';

/** Fill colours of Graphviz for what would happen to a step. */
const colours: Readonly<Record<string, string>> = {
  stored: 'palegreen',
  run: 'lightsalmon',
  'may run': 'khaki',
  '-': 'whitesmoke',
};

/** The plan in the language of Graphviz: a box for each step, grouped by image, and an ellipse for each output. */
export function planDot(plan: Plan, { statuses, needed }: Evaluation): string {
  const images = [...new Set(plan.steps.map(imageOf))];
  const outputs = plan.images.flatMap((image) => image.outputs);
  const node = (step: Step): string => {
    const word = stateWord(statuses.get(step.id), needed.includes(step.id));
    const label = `${step.label.replace(/^[^:]*: /, '')}\n${word}`;
    return `    ${quoted(step.id)} [label=${quoted(label)} fillcolor=${quoted(colours[word] ?? 'white')}];`;
  };
  return [
    'digraph plan {',
    '  rankdir=LR;',
    '  node [shape=box style="filled,rounded" fontname="sans-serif"];',
    ...images.flatMap((image, index) => [
      `  subgraph cluster_${index} {`,
      `    label=${quoted(image)};`,
      ...plan.steps.filter((step) => imageOf(step) === image).map(node),
      '  }',
    ]),
    ...outputs.map(({ name }) => `  ${quoted(`output ${name}`)} [label=${quoted(name)} shape=ellipse];`),
    ...plan.steps.flatMap((step) => sourcesOf(step).map((id) => `  ${quoted(id)} -> ${quoted(step.id)};`)),
    ...outputs.map(({ name, from }) => `  ${quoted(from.$ref)} -> ${quoted(`output ${name}`)};`),
    '}',
    '',
  ].join('\n');
}

function imageOf({ id }: Step): string {
  return id.slice(0, id.lastIndexOf('/'));
}

/** A string of the DOT language, in which only the quote is escaped and `\n` centres a line. */
function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}
