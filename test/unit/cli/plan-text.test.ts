import { describe, expect, it } from 'vitest';
import { hostPath, imageName, stepId } from '../../../src/base/brand.ts';
import { planDot } from '../../../src/cli/plan-dot.ts';
import { planText } from '../../../src/cli/plan-tree.ts';
import type { Evaluation } from '../../../src/engine/evaluate.ts';
import type { Plan, Ref, Step, StepKind } from '../../../src/plan/step.ts';

function step(id: string, kind: StepKind, inputs: object): Step {
  const label = `main: do ${kind}`;
  return { id: stepId(id), kind, inputs, label, keep: true, tools: { kind: 'host' } } as unknown as Step;
}

const ref = (id: string): Ref => ({ $ref: stepId(id), type: 'tree' });

/** A disk of a tree and a kernel image that is made of the same tree. */
const plan: Plan = {
  steps: [
    step('main/install', 'install-packages', {}),
    step('main/traces', 'clean-traces', { base: ref('main/install') }),
    step('main/uki', 'build-uki', { tree: ref('main/traces') }),
    step('main/disk', 'build-disk', { tree: ref('main/traces'), ukis: ref('main/uki') }),
  ],
  images: [
    {
      image: imageName('main'),
      directory: hostPath('/out'),
      outputs: [
        { from: ref('main/disk'), name: 'image.raw' },
        { from: ref('main/uki'), name: 'image "1".efi' },
      ],
    },
  ],
};

const evaluation: Evaluation = {
  statuses: new Map([[stepId('main/install'), { state: 'hit' }]]) as unknown as Evaluation['statuses'],
  needed: ['main/traces', 'main/uki', 'main/disk'].map(stepId),
  missing: [],
  telling: [],
};

describe('planText', () => {
  it('goes straight down a chain, and shows what comes in from the side indented', () => {
    expect(planText(plan, evaluation).split('\n')).toEqual([
      '/out/image.raw',
      'may run  main/disk      do build-disk',
      'may run  ├ main/uki     do build-uki',
      'may run  │ main/traces  (see below)',
      'may run  main/traces    do clean-traces',
      'stored   main/install   do install-packages',
      '',
      '/out/image "1".efi',
      'may run  main/uki  (see above)',
      '',
      '3 of 4 steps would run',
    ]);
  });
});

/** Reads what planDot() writes: statements of the DOT language, one on a line, with quoted names. */
function parseDot(text: string): { nodes: Set<string>; edges: [string, string][] } {
  const name = String.raw`"((?:[^"\\]|\\.)*)"`;
  const nodes = new Set<string>();
  const edges: [string, string][] = [];
  let depth = 0;
  for (const line of text.trim().split('\n')) {
    const edge = new RegExp(`^ *${name} -> ${name};$`).exec(line);
    const node = new RegExp(`^ *${name} \\[((label|fillcolor|shape)=(${name}|\\w+) ?)+\\];$`).exec(line);
    if (edge !== null) edges.push([edge[1] ?? '', edge[2] ?? '']);
    else if (node !== null) nodes.add(node[1] ?? '');
    else if (/^(digraph plan| *subgraph cluster_\d+) \{$/.test(line)) depth += 1;
    else if (/^ *\}$/.test(line)) depth -= 1;
    else
      expect(line).toMatch(
        /^ *(rankdir=LR|label="[^"]*"|node \[shape=box style="[^"]*" fontname="[^"]*"\]);$/,
      );
  }
  expect(depth).toBe(0);
  return { nodes, edges };
}

describe('planDot', () => {
  it('is a graph whose edges join nodes that are there', () => {
    const { nodes, edges } = parseDot(planDot(plan, evaluation));
    expect([...nodes]).toEqual([
      'main/install',
      'main/traces',
      'main/uki',
      'main/disk',
      'output image.raw',
      String.raw`output image \"1\".efi`,
    ]);
    expect(edges).toContainEqual(['main/uki', 'main/disk']);
    expect(edges).toContainEqual(['main/disk', 'output image.raw']);
    expect(edges.flat().filter((name) => !nodes.has(name))).toEqual([]);
  });
});
