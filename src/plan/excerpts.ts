import type { Ref } from './step.ts';

/**
 * Parts of a tree that some steps read and nothing else of it. A step that refers to excerpts is keyed by what is in them
 * and not by the tree, so that it need not run again for a change elsewhere. All symbolic links that such a step follows
 * stay within one excerpt; where a tree has others, the engine takes the whole tree instead.
 */
export const excerpts = {
  /** Kernels, modules, their indexes, and firmware with where Debian's links of it lead. */
  kernel: [
    'usr/lib/modules',
    'usr/lib/firmware',
    'etc/alternatives/regulatory.db',
    'etc/alternatives/regulatory.db.p7s',
    'lib',
  ],
  /** What a unified kernel image takes besides the kernel: the stub and os-release. */
  boot: ['usr/lib/systemd/boot/efi', 'usr/lib/os-release', 'etc/os-release'],
} as const;

export type ExcerptName = keyof typeof excerpts;

/** The tree, for a step that reads no more of it than this. The files' names, contents, types, modes and times count. */
export function excerptOf(tree: Ref<'tree'>, names: readonly ExcerptName[]): Ref<'tree'> {
  return { ...tree, excerpts: names };
}
