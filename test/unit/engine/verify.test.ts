import { createHash } from 'node:crypto';
import { link, lstat, mkdir, rm, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { digestJson } from '../../../src/base/canonical.ts';
import { listEntries } from '../../../src/engine/prune.ts';
import { stepKey } from '../../../src/engine/record.ts';
import type { Entry, EntryDraft, Store } from '../../../src/engine/store.ts';
import type { Fault } from '../../../src/engine/verify.ts';
import { verifyEntries } from '../../../src/engine/verify.ts';
import { testCache } from './fixtures.ts';

async function addTree(
  store: Store,
  { name, checksums }: Pick<EntryDraft, 'checksums'> & { readonly name: string },
  fill: (tree: string) => Promise<void>,
): Promise<Entry> {
  await using stage = await store.stage();
  const tree = join(stage.entry, 'tree');
  await mkdir(tree);
  await fill(tree);
  return await store.commit(stage, {
    ...{ key: stepKey(digestJson(name)), kind: 'copy-trees', label: name, type: 'tree' },
    ...{ contentKeyed: false, lowerLayers: [], meta: null, identity: name },
    ...(checksums === undefined ? {} : { checksums }),
  });
}

const time = new Date('2024-01-01');

async function put(file: string, content: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
  await utimes(file, time, time);
}

async function faults(store: Store): Promise<readonly Pick<Fault, 'name' | 'message'>[]> {
  const found = await verifyEntries(store, await listEntries(store), new AbortController().signal);
  return found.map(({ name, message }) => ({ name, message }));
}

test('a bit that fell over in a tree is found by the digest of its file', async () => {
  await using cache = await testCache();
  const { path } = await addTree(cache.store, { name: 'a' }, (tree) => put(join(tree, 'usr/f'), 'content'));
  expect(await faults(cache.store)).toEqual([]);
  await put(join(path, 'usr/f'), 'cOntent');
  expect(await faults(cache.store)).toEqual([{ name: 'a', message: 'the content of usr/f changed' }]);
});

test('files of packages are compared with the list that came along, in all trees that share them', async () => {
  await using cache = await testCache();
  const md5 = createHash('md5').update('content').digest('hex');
  const part = await addTree(
    cache.store,
    { name: 'package', checksums: { list: 'control/md5sums', below: 'data' } },
    async (tree) => {
      await put(join(tree, 'data/usr/f'), 'content');
      await put(join(tree, 'data/usr/unlisted'), 'other');
      await put(join(tree, 'control/md5sums'), `${md5}  usr/f\n${md5}  ../../escape\n`);
    },
  );
  await addTree(cache.store, { name: 'image' }, async (tree) => {
    await link(join(part.path, 'data/usr/f'), join(tree, 'f'));
  });
  await addTree(cache.store, { name: 'other' }, (tree) => put(join(tree, 'f'), 'content'));
  expect(await faults(cache.store)).toEqual([]);
  await put(join(part.path, 'data/usr/f'), 'cOntent');
  expect(await faults(cache.store)).toEqual([
    { name: 'package', message: 'the content of data/usr/f changed' },
    { name: 'image', message: 'the content of f changed' },
  ]);
  await put(join(part.path, 'data/usr/f'), 'content');
  await put(join(part.path, 'data/usr/unlisted'), 'oTher');
  expect(await faults(cache.store)).toEqual([
    { name: 'package', message: 'the content of data/usr/unlisted changed' },
  ]);
});

test('a list of digests that is damaged or gone is a fault, too', async () => {
  await using cache = await testCache();
  const { path } = await addTree(cache.store, { name: 'a' }, (tree) => put(join(tree, 'f'), 'content'));
  const list = join(dirname(path), 'contents');
  expect((await lstat(list)).mode & 0o777).toBe(0o600);
  await writeFile(list, `${'0'.repeat(64)} f\0`);
  expect(await faults(cache.store)).toHaveLength(1);
  await rm(list);
  expect(await faults(cache.store)).toEqual([{ name: 'a', message: 'its list of digests is missing' }]);
});
