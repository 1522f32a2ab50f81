import type { TreeStep } from './implementation.ts';
import { scriptTools } from './script-helpers.ts';
import { runScripts } from './scripts.ts';

/** Runs prepare, postinst or finalize scripts on the tree. */
export const runScriptsStep: TreeStep<'run-scripts'> = {
  output: 'tree',
  version: 3,
  tools: scriptTools,
  mayChange: ({ sources }) => sources.map(({ source }) => source),
  async run(inputs, root, context) {
    await runScripts({ settings: inputs, root }, context);
  },
};
