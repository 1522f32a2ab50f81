import { bufferSource } from '../formats/bytes.ts';
import { fileType } from '../formats/newc.ts';
import { memberData } from '../formats/newc-reader.ts';
import { mayBeLoaded } from '../steps/dlopen/tree.ts';
import type { UnresolvedDlopen } from '../steps/dlopen/unresolved.ts';
import { loaderDirectories, unresolvedDlopens } from '../steps/dlopen/unresolved.ts';
import type { InitrdNodes, UnpackedSegment } from './contents.ts';

export type MissingLibrary = UnresolvedDlopen;

/** The libraries that programs of an initrd would open, by their dlopen notes, and that are not in it. */
export function missingLibraries(
  nodes: InitrdNodes,
  archives: readonly UnpackedSegment[],
): readonly MissingLibrary[] {
  const dataOf = (path: string): Buffer => {
    const node = nodes.get(path);
    const archive = archives[node?.segment ?? -1]?.archive;
    return node === undefined || archive === undefined ? Buffer.alloc(0) : memberData(archive, node.member);
  };
  const files = [...nodes]
    .filter(([path, { type, member }]) => type === fileType.regular && mayBeLoaded(path, member.mode))
    .map(([path]) => ({
      path,
      open: () => ({ ...bufferSource(dataOf(path)), [Symbol.dispose]: () => undefined }),
    }));
  const links = new Map(
    [...nodes].flatMap(([path, { target }]) => (target === undefined ? [] : [[path, target]])),
  );
  const texts = [...nodes.keys()]
    .filter((path) => /^etc\/ld\.so\.conf(\.d\/[^/]+\.conf)?$/.test(path))
    .map((path) => dataOf(path).toString('utf8'));
  return unresolvedDlopens({ files, links, directories: loaderDirectories(texts) });
}
