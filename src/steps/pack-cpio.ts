import { writeArchive } from './archive-file.ts';
import { compressionTools, compressorOf } from './compression.ts';
import type { FileStep } from './implementation.ts';
import { archiveEntries } from './walk.ts';

/** A tree as a `newc` archive, which the kernel unpacks as an initrd. Its root directory itself is not in it. */
export const packCpio: FileStep<'pack-cpio'> = {
  output: 'file',
  version: 1,
  memory: 512 << 20,
  tools: compressionTools,
  keyTools: ({ compression }) => compressorOf(compression),
  async run({ tree, compression, epoch }, target, context) {
    const entries = await archiveEntries(tree.root, {
      signal: context.signal,
      onSkip: (path) => {
        context.events.emit({
          type: 'note',
          level: 'warning',
          code: 'socket-skipped',
          message: `/${path} is a socket; it is left out of the archive`,
        });
      },
    });
    const bytes = await writeArchive({ entries, target, compression, epoch }, context);
    return { entries: entries.length, bytes };
  },
};
