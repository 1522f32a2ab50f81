import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';

/** Configuration that mkimg brings along, by the directory in configs/. */
export const builtinSets = ['tools', 'initrd', 'vm', 'addon', 'obs'] as const;
export type BuiltinSet = (typeof builtinSets)[number];

/** What Include= may name instead of a path: `mkimg-vm`, and mkosi's name for the same. */
export const builtinSetNames: readonly string[] = builtinSets.flatMap((set) => [
  `mkimg-${set}`,
  `mkosi-${set}`,
]);

/** The directory of a built-in set that a word names; undefined for other words. */
export function findSet(name: string, root: HostPath): HostPath | undefined {
  return builtinSetNames.includes(name)
    ? setDirectory(name.replace(/^mk(?:img|osi)-/, '') as BuiltinSet, root)
    : undefined;
}

/** The directory of a built-in set. */
export function setDirectory(set: BuiltinSet, root: HostPath): HostPath {
  return hostPath(join(root, set));
}

/** Configuration that users may also link into their own, for the sets below a directory: it lies beside that. */
export function dropInsRoot(root: HostPath): HostPath {
  return hostPath(join(root, '../drop-ins'));
}

/** Where the profiles of a set are, if they lie outside of it. */
export function dropInsOf(directory: HostPath, root: HostPath): HostPath | undefined {
  return directory === setDirectory('initrd', root) ? hostPath(join(dropInsRoot(root), 'initrd')) : undefined;
}
