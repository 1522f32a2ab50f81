import type { InitrdFault, InitrdSegment } from '../formats/initrd.ts';
import type { InitrdNodes } from './contents.ts';
import { readContents } from './contents.ts';
import type { UnpackedInitrd } from './unpack.ts';

/** What is known of an initrd after it was read as the kernel reads it. */
export interface InitrdReport {
  readonly segments: readonly SegmentReport[];
  readonly faults: readonly InitrdFault[];
  readonly nodes: InitrdNodes;
}

export interface SegmentReport extends InitrdSegment {
  /** Bytes of the archive, unpacked. */
  readonly unpacked: number;
  /** Paths that come from this segment in the end. */
  readonly paths: number;
}

/** Puts together what the scan and the contents say. */
export function reportOn(initrd: UnpackedInitrd, scanFaults: readonly InitrdFault[]): InitrdReport {
  const { nodes, faults } = readContents(initrd.segments);
  const paths = new Map<number, number>();
  for (const { segment } of nodes.values()) paths.set(segment, (paths.get(segment) ?? 0) + 1);
  const segments = initrd.segments.map(({ archive, start, ...segment }, index) => ({
    ...segment,
    unpacked: segment.encoding === 'none' ? segment.size : archive.size - start,
    paths: paths.get(index) ?? 0,
  }));
  return { segments, faults: [...scanFaults, ...initrd.faults, ...faults], nodes };
}
