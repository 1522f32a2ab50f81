import { treePath } from '../base/brand.ts';
import { treeAt } from '../sandbox/tree.ts';
import { buildrootMount } from './buildroot.ts';
import type { TreeStep } from './implementation.ts';

/** Command lines that enable and disable units as systemd.preset(5) files say: the system's, then every user's. */
export const presetArgvs: readonly (readonly string[])[] = [
  ['--root=/buildroot', 'preset-all'],
  ['--root=/buildroot', '--global', 'preset-all'],
];

/** Enables and disables units as the image's presets say. */
export const presets: TreeStep<'presets'> = {
  output: 'tree',
  version: 1,
  tools: [{ tool: 'systemctl', reason: 'to enable units as presets say' }],
  async run(_inputs, root, context) {
    // An initrd without units of users needs no second look.
    const hasUsers = await treeAt(root).exists(treePath('usr/lib/systemd/user'));
    for (const argv of hasUsers ? presetArgvs : presetArgvs.slice(0, 1)) {
      await context.sandbox.run({
        tool: 'systemctl',
        argv,
        mounts: [buildrootMount(root)],
        purpose: 'applying presets',
      });
    }
  },
};
