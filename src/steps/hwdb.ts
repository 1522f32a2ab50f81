import { treePath } from '../base/brand.ts';
import { treeAt } from '../sandbox/tree.ts';
import { buildrootMount } from './buildroot.ts';
import type { TreeStep } from './implementation.ts';

/** systemd-hwdb writes usr/lib/udev/hwdb.bin and fails on faults in the sources. */
export const hwdbArgv: readonly string[] = ['--root=/buildroot', '--usr', '--strict', 'update'];

/** Compiles the hardware database into /usr. A copy in /etc, which would hide it, is removed. */
export const hwdb: TreeStep<'hwdb'> = {
  output: 'tree',
  version: 1,
  tools: [{ tool: 'systemd-hwdb', reason: 'to compile the hardware database' }],
  async run(_inputs, root, context) {
    await context.sandbox.run({
      tool: 'systemd-hwdb',
      argv: hwdbArgv,
      mounts: [buildrootMount(root)],
      purpose: 'compiling the hardware database',
    });
    await treeAt(root).remove(treePath('etc/udev/hwdb.bin'));
  },
};
