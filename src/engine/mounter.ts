import { mountOverlay, mountReadOnly } from '../sandbox/overlay.ts';
import type { TreeMounter } from './environment.ts';

/** Mounts trees by overlayfs; needs the namespace of sandbox/namespace.ts. */
export const overlayMounter: TreeMounter = {
  readOnly: (layers, target) => mountReadOnly({ layers: [...layers].reverse(), target }),
  writable: ({ layers, upper, work, target }) =>
    mountOverlay({ lowers: [...layers].reverse(), upper, work, target }),
};
