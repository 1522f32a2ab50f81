import type { HostPath } from '../base/brand.ts';
import type { Mount } from '../sandbox/types.ts';
import { buildroot } from './script-environment.ts';

/** Makes the tree that a step changes visible to a tool. Device nodes in it work, as maintainer scripts expect. */
export function buildrootMount(root: HostPath): Mount {
  return { source: root, target: buildroot, mode: 'dev' };
}
