import { readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../src/base/canonical.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import type { SegmentCache, SegmentDraft } from '../../../src/initrd/segment-cache.ts';
import { findSegment, openSegmentCache } from '../../../src/initrd/segment-cache.ts';

function counted(text: string): SegmentDraft & { readonly made: () => number } {
  let count = 0;
  return {
    role: 'host',
    key: sha256(text),
    made: () => count,
    write: async ({ file, outline }) => {
      count += 1;
      await writeFile(file, text);
      await writeFile(outline, '');
      return { text };
    },
  };
}

async function withCache(
  use: (cache: SegmentCache, directory: Parameters<typeof openSegmentCache>[0]) => Promise<void>,
  onDamage: Parameters<typeof openSegmentCache>[1] = () => undefined,
): Promise<void> {
  await using directory = await temporaryDirectory('/tmp', 'test-segments-');
  await use(await openSegmentCache(directory.path, onDamage), directory.path);
}

describe('segments', () => {
  it('are made once, closed to others, with a manifest beside them', async () => {
    await withCache(async (cache, directory) => {
      const draft = counted('one');
      const segment = await cache.obtain(draft);
      expect(await cache.obtain(draft)).toEqual(segment);
      expect(draft.made()).toBe(1);
      expect(segment).toMatchObject({ bytes: 3, sha256: sha256('one'), content: { text: 'one' } });
      expect((await stat(segment.path)).mode & 0o777).toBe(0o600);
      expect((await stat(directory)).mode & 0o077).toBe(0o000);
    });
  });

  it.each([
    ['another byte', (path: string) => writeFile(path, 'two')],
    ['fewer bytes', (path: string) => truncate(path, 1)],
    ['no file', (path: string) => rm(path)],
    ['a broken manifest', (path: string) => writeFile(path.replace(/initrd$/, 'manifest.json'), '{')],
    ['a manifest of nothing', (path: string) => writeFile(path.replace(/initrd$/, 'manifest.json'), 'null')],
    ['a damaged outline', (path: string) => writeFile(path.replace(/initrd$/, 'outline.cpio'), 'x')],
    ['no outline', (path: string) => rm(path.replace(/initrd$/, 'outline.cpio'))],
  ])('are made again when there is %s', async (_, damage) => {
    const damaged: string[] = [];
    await withCache(
      async (cache, directory) => {
        const draft = counted('one');
        const { path } = await cache.obtain(draft);
        await damage(path);
        expect(await findSegment(directory, draft)).toBeUndefined();
        expect((await cache.obtain(draft)).path).toBe(path);
        expect(draft.made()).toBe(2);
        expect(await findSegment(directory, draft)).toBeDefined();
        expect(await readdir(`${directory}/segments`)).toEqual([`host-${draft.key}`]);
        expect(damaged).toEqual([path]);
      },
      ({ path }) => damaged.push(path),
    );
  });

  it('may be made by several at a time', async () => {
    await withCache(async (cache) => {
      const made = await Promise.all(Array.from({ length: 8 }, () => cache.obtain(counted('one'))));
      expect(new Set(made.map(({ path }) => path)).size).toBe(1);
    });
  });

  it('leave nothing behind when they cannot be made', async () => {
    await withCache(async (cache, directory) => {
      const failing = { ...counted('one'), write: () => Promise.reject(new Error('no space')) };
      await expect(cache.obtain(failing)).rejects.toThrow('no space');
      expect(await readdir(`${directory}/segments`)).toEqual([]);
    });
  });
});
