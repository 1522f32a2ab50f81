import { buildrootMount } from './buildroot.ts';
import type { TreeStep } from './implementation.ts';

/** Makes the users and groups that packages declare in sysusers.d(5). The day of the epoch becomes that of their passwords. */
export const sysusers: TreeStep<'sysusers'> = {
  output: 'tree',
  version: 2,
  tools: [{ tool: 'systemd-sysusers', reason: 'to make the system users of the image' }],
  async run({ epoch }, root, context) {
    await context.sandbox.run({
      tool: 'systemd-sysusers',
      argv: ['--root=/buildroot'],
      mounts: [buildrootMount(root)],
      env: { SOURCE_DATE_EPOCH: String(epoch) },
      purpose: 'making system users',
    });
  },
};
