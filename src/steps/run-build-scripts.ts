import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hostPath } from '../base/brand.ts';
import { mountOverlay } from '../sandbox/overlay.ts';
import type { TreeStep } from './implementation.ts';
import { scriptTools } from './script-helpers.ts';
import { runScripts } from './scripts.ts';

/**
 * Runs build scripts on an overlay of `base` that is thrown away. The step's own tree starts empty and takes what the
 * scripts put into $DESTDIR.
 */
export const runBuildScripts: TreeStep<'run-build-scripts'> = {
  output: 'tree',
  fresh: true,
  version: 3,
  tools: scriptTools,
  mayChange: ({ sources }) => sources.map(({ source }) => source),
  async run(inputs, root, context) {
    const upper = hostPath(join(context.work, 'upper'));
    const work = hostPath(join(context.work, 'overlay'));
    const target = hostPath(join(context.work, 'buildroot'));
    // The root of an overlay has the mode of its upper directory.
    for (const path of [upper, work, target]) await mkdir(path, { mode: 0o755 });
    {
      await using mounted = await mountOverlay({ lowers: [inputs.base.root], upper, work, target });
      await runScripts({ settings: inputs, root: mounted.path, destination: root }, context);
    }
    for (const path of [upper, work, target]) await rm(path, { recursive: true, force: true });
  },
};
