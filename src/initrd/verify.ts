import { Resources } from '../base/disposal.ts';
import { MkimgError } from '../base/errors.ts';
import { openSource } from '../formats/bytes.ts';
import type { InitrdFault } from '../formats/initrd.ts';
import { readContents } from './contents.ts';
import { layOut } from './join.ts';
import type { Segment } from './segment-cache.ts';
import { requireSoundOutline } from './segment-cache.ts';

/**
 * Follows the kernel through the outlines of all segments: a segment alone may be sound and still spoil what an earlier one
 * put there.
 * @throws MkimgError `bad-initrd` when a kernel would not start from them; `bad-segment`
 */
export async function verifySegments(segments: readonly Segment[]): Promise<void> {
  const faults = await segmentFaults(segments);
  const errors = faults.filter(({ severity }) => severity === 'error').map(({ message }) => message);
  if (errors.length === 0) return;
  throw new MkimgError('bad-initrd', `A kernel would not start from this initrd: ${errors[0] ?? ''}`, {
    hint: 'Look at what extra trees, packages and profiles put in the same place.',
    tail: errors,
  });
}

async function segmentFaults(segments: readonly Segment[]): Promise<readonly InitrdFault[]> {
  await using opened = new Resources();
  const { offsets } = layOut(segments.map(({ bytes }) => bytes));
  for (const segment of segments) await requireSoundOutline(segment);
  const unpacked = segments.map(({ role, outline }, index) => {
    const archive = openSource(outline);
    opened.use(archive);
    // Whether it is compressed matters for microcode alone, which must come before all that is.
    const encoding = role === 'base' || role === 'profile' ? ('zstd' as const) : ('none' as const);
    // The outline's own size: a compressed part is smaller than what it unpacks to.
    return { archive, start: 0, encoding, offset: offsets[index] ?? 0, size: archive.size };
  });
  return readContents(unpacked).faults;
}
