import { createHash } from 'node:crypto';
import { list } from 'tar';
import type { ReadEntry } from 'tar';

/** All that an archive says of one file but its times. */
export interface ArchiveEntry {
  readonly type: string;
  readonly mode: number;
  readonly owner: string;
  /** Where a link leads. */
  readonly target: string;
  readonly size: number;
  /** SHA-256 of the content. */
  readonly digest: string;
}

/** Reads a plain tar archive with node-tar. Names have no leading `./`; hard links look like the file that they are. */
export async function listArchive(file: string): Promise<ReadonlyMap<string, ArchiveEntry>> {
  const entries = new Map<string, ArchiveEntry>();
  const onReadEntry = (entry: ReadEntry): void => {
    const path = normalised(entry.path);
    if (entry.type === 'Link') {
      const first = entries.get(normalised(entry.linkpath ?? ''));
      if (first === undefined) throw new Error(`${path} is a link to a file that is not before it`);
      entries.set(path, first);
      return;
    }
    const hash = createHash('sha256');
    entry.on('data', (chunk: Buffer) => hash.update(chunk));
    entry.on('end', () =>
      entries.set(path, {
        type: entry.type,
        mode: entry.mode ?? 0,
        owner: `${entry.uid}:${entry.gid}`,
        target: entry.linkpath ?? '',
        size: entry.size,
        digest: hash.digest('hex'),
      }),
    );
  };
  await list({ file, onReadEntry, strict: true, noResume: false });
  return entries;
}

function normalised(path: string): string {
  return path.replace(/^\.\/+|\/+$/g, '');
}
