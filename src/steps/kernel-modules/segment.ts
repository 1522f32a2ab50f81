import type { TreePath } from '../../base/brand.ts';
import type { FileContent, NewcEntry } from '../../formats/newc.ts';
import { fileType } from '../../formats/newc.ts';

/** What stands at a path of a segment. Everything belongs to root; directories have mode 0755, files 0644. */
export type SegmentItem =
  | { readonly kind: 'file'; readonly content: Buffer | FileContent; readonly mtime: number }
  | { readonly kind: 'link'; readonly target: string };

/**
 * Entries of an initrd segment in the order of the archive. Directories are added: the kernel makes none by itself, and
 * a segment must not rely on the one before it.
 */
export function segmentEntries(
  items: ReadonlyMap<TreePath, SegmentItem>,
  epoch: number,
): readonly NewcEntry[] {
  const entries = new Map<string, NewcEntry>();
  for (const [path, item] of items) {
    for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
      const directory = path.slice(0, slash);
      if (!entries.has(directory)) entries.set(directory, directoryEntry(directory, epoch));
    }
    entries.set(path, itemEntry(path, item, epoch));
  }
  return [...entries.values()].sort((left, right) => Buffer.compare(left.path, right.path));
}

function directoryEntry(path: string, epoch: number): NewcEntry {
  return { path: Buffer.from(path), mode: fileType.directory | 0o755, uid: 0, gid: 0, mtime: epoch };
}

function itemEntry(path: string, item: SegmentItem, epoch: number): NewcEntry {
  const common = { path: Buffer.from(path), uid: 0, gid: 0 };
  if (item.kind === 'link')
    return { ...common, mode: fileType.symlink | 0o777, mtime: epoch, content: Buffer.from(item.target) };
  return { ...common, mode: fileType.regular | 0o644, mtime: item.mtime, content: item.content };
}
