import { sha256 } from '../base/canonical.ts';
import type { ByteSource } from '../formats/bytes.ts';
import type { InitrdSegment } from '../formats/initrd.ts';
import type { KnownSegment } from './segment-cache.ts';

/**
 * Finds segments that mkimg made in an initrd, by their bytes. One of them may be several archives.
 * @returns by index of archive
 */
export function recognize(
  source: ByteSource,
  archives: readonly InitrdSegment[],
  known: readonly KnownSegment[],
): ReadonlyMap<number, KnownSegment> {
  const found = new Map<number, KnownSegment>();
  archives.forEach(({ offset }, first) => {
    if (found.has(first)) return;
    const segment = known.find((candidate) => isAt(source, offset, candidate));
    if (segment === undefined) return;
    archives.forEach((archive, index) => {
      if (index >= first && archive.offset < offset + segment.bytes) found.set(index, segment);
    });
  });
  return found;
}

function isAt(source: ByteSource, offset: number, { bytes, sha256: digest }: KnownSegment): boolean {
  return offset + bytes <= source.size && sha256(source.read(offset, bytes)) === digest;
}
