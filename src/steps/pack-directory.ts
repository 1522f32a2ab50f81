import type { TreeStep } from './implementation.ts';
import { buildroot } from './script-environment.ts';

const copyInside = '/copy';

/** Copies the tree into an empty one, so that nothing of it depends on other layers; times after the epoch become it. */
export const packDirectory: TreeStep<'pack-directory'> = {
  output: 'tree',
  version: 1,
  tools: [
    { tool: 'cp', reason: 'to copy the tree' },
    { tool: 'find', reason: 'to find files newer than SOURCE_DATE_EPOCH' },
    { tool: 'touch', reason: 'to set the times of files' },
  ],
  async run({ tree, epoch }, root, { sandbox }) {
    await sandbox.run({
      tool: 'cp',
      argv: ['--archive', '--reflink=auto', '--no-target-directory', buildroot, copyInside],
      mounts: [
        { source: tree.root, target: buildroot, mode: 'ro' },
        { source: root, target: copyInside, mode: 'dev' },
      ],
      purpose: 'copying the tree',
    });
    await sandbox.run({
      tool: 'find',
      argv: clampArgv(copyInside, epoch),
      mounts: [{ source: root, target: copyInside, mode: 'dev' }],
      purpose: 'setting the times of files',
    });
  },
};

/** `find` that sets every time after the epoch (in seconds) back to it. */
export function clampArgv(tree: string, epoch: number): string[] {
  return [
    [tree, '-newermt', `@${epoch}`],
    ['-exec', 'touch', '--no-dereference', `--date=@${epoch}`, '{}', '+'],
  ].flat();
}
