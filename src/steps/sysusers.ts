import { buildrootMount } from './buildroot.ts';
import type { TreeStep } from './implementation.ts';

/** Makes the users and groups that packages declare in sysusers.d(5). */
export const sysusers: TreeStep<'sysusers'> = {
  output: 'tree',
  version: 1,
  tools: [{ tool: 'systemd-sysusers', reason: 'to make the system users of the image' }],
  async run(_inputs, root, context) {
    await context.sandbox.run({
      tool: 'systemd-sysusers',
      argv: ['--root=/buildroot'],
      mounts: [buildrootMount(root)],
      purpose: 'making system users',
    });
  },
};
