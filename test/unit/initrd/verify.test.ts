import { writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../src/base/canonical.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import type { NewcEntry } from '../../../src/formats/newc.ts';
import { writeNewc } from '../../../src/formats/newc.ts';
import type { Segment, SegmentCache, SegmentRole } from '../../../src/initrd/segment-cache.ts';
import { openSegmentCache } from '../../../src/initrd/segment-cache.ts';
import { verifySegments } from '../../../src/initrd/verify.ts';

function entry(path: string, mode: number, content?: string): NewcEntry {
  const data = content === undefined ? {} : { content: Buffer.from(content) };
  return { path: Buffer.from(path), mode, uid: 0, gid: 0, mtime: 0, ...data };
}

/** A segment that takes `packed` as its bytes, with an outline of these entries. */
async function segment(
  cache: SegmentCache,
  role: SegmentRole,
  { packed, entries }: { readonly packed: string; readonly entries: readonly NewcEntry[] },
): Promise<Segment> {
  return cache.obtain({
    role,
    key: sha256(role + packed),
    write: async ({ file, outline }) => {
      await writeFile(file, packed);
      for await (const chunk of writeNewc(entries, { epoch: 0 }))
        await writeFile(outline, chunk, { flag: 'a' });
      return {};
    },
  });
}

const base = [entry('init', 0o120777, 'usr/init'), entry('usr', 0o40755), entry('usr/init', 0o100755)];

describe('the parts of an initrd', () => {
  it('are read by their outlines, which are larger than parts that are compressed', async () => {
    await using directory = await temporaryDirectory('/tmp', 'test-verify-');
    const cache = await openSegmentCache(directory.path, () => undefined);
    const modules = [entry('usr', 0o40755), entry('usr/a.ko', 0o100644)];
    const sound = [
      await segment(cache, 'base', { packed: 'x', entries: base }),
      await segment(cache, 'modules', { packed: 'y', entries: modules }),
    ];
    await expect(verifySegments(sound)).resolves.toBeUndefined();
    const spoiling = await segment(cache, 'host', { packed: 'z', entries: [entry('usr', 0o100644)] });
    await expect(verifySegments([...sound, spoiling])).rejects.toMatchObject({ code: 'bad-initrd' });
  });
});
