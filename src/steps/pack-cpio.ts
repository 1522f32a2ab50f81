import type { NewcEntry } from '../formats/newc.ts';
import { fileType } from '../formats/newc.ts';
import { writeArchive } from './archive-file.ts';
import { compressionTools, compressorOf } from './compression.ts';
import type { FileStep } from './implementation.ts';
import { archiveEntries } from './walk.ts';

/** A tree as a `newc` archive, which the kernel unpacks as an initrd. Its root directory itself is not in it. */
export const packCpio: FileStep<'pack-cpio'> = {
  output: 'file',
  version: 2,
  memory: 512 << 20,
  tools: compressionTools,
  keyTools: ({ compression }) => compressorOf(compression),
  async run({ tree, compression, epoch, rootOwned = false }, target, context) {
    const walked = await archiveEntries(tree.root, {
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
    const entries = rootOwned ? walked.map(ofRoot) : walked;
    const bytes = await writeArchive({ entries, target, compression, epoch }, context);
    return { entries: entries.length, bytes };
  },
};

/** The sticky bit stays: it says nothing of owners, and means that all may write. */
const setIds = 0o6000;
const sticky = 0o1000;
/** What depends on the umask under which somebody checked the configuration out. */
const writeByOthers = 0o022;

function ofRoot(entry: NewcEntry): NewcEntry {
  const type = entry.mode & fileType.mask;
  const isPlain = (type === fileType.regular || type === fileType.directory) && (entry.mode & sticky) === 0;
  const dropped = setIds | (isPlain ? writeByOthers : 0);
  return { ...entry, mode: entry.mode & ~dropped, uid: 0, gid: 0 };
}
