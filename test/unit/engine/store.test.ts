import {
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { StepKey } from '../../../src/base/brand.ts';
import { hostPath } from '../../../src/base/brand.ts';
import { sha256 } from '../../../src/base/canonical.ts';
import { currentOwner, formatOwner, isAlive, parseOwner } from '../../../src/base/owner.ts';
import { listProjects, noteProject, touchProject } from '../../../src/engine/projects.ts';
import {
  chooseDoomed,
  listEntries,
  prunableBytes,
  prune,
  trimAfterBuild,
} from '../../../src/engine/prune.ts';
import { markRunning } from '../../../src/engine/lock.ts';
import { parseRecord, stepKey } from '../../../src/engine/record.ts';
import { removeStaleStages } from '../../../src/engine/staging.ts';
import type { Entry, EntryDraft, Store } from '../../../src/engine/store.ts';
import { testCache } from './fixtures.ts';

const keyFor = (name: string): StepKey => stepKey(sha256(name));

function draft(name: string, type: EntryDraft['type'], options: Partial<EntryDraft> = {}): EntryDraft {
  return {
    ...{
      key: keyFor(name),
      kind: 'compress',
      label: name,
      type,
      contentKeyed: false,
      lowerLayers: [],
      meta: null,
    },
    identity: { name },
    ...options,
  };
}

async function addFile(store: Store, name: string, content: string | Uint8Array = name): Promise<Entry> {
  await using stage = await store.stage();
  await writeFile(join(stage.entry, 'file'), content);
  return await store.commit(stage, draft(name, 'file'));
}

async function addTree(store: Store, name: string, lowerLayers: readonly StepKey[] = []): Promise<Entry> {
  await using stage = await store.stage();
  const tree = join(stage.entry, 'tree');
  await mkdir(join(tree, 'usr/bin'), { recursive: true });
  await writeFile(join(tree, 'usr/bin', name), name);
  await symlink('usr/bin', join(tree, 'bin'));
  return await store.commit(stage, draft(name, 'tree', { lowerLayers }));
}

describe('commit and find', () => {
  test('an entry is found with its artifact, record and digest', async () => {
    await using cache = await testCache();
    const { store } = cache;
    expect(await store.find(keyFor('a'))).toBeUndefined();
    await addFile(store, 'a');
    const entry = await store.find(keyFor('a'));
    expect(await readFile(entry?.path ?? '', 'utf8')).toBe('a');
    expect(entry?.record).toMatchObject({
      label: 'a',
      bytes: 1,
      identity: { name: 'a' },
      artifact: { files: [{ sha256: sha256('a') }] },
    });
    expect(await readdir(store.layout.staging)).toEqual([]);
    expect((await stat(store.layout.store)).mode & 0o777).toBe(0o700);
  });

  test('of builds that make the same entry at the same time, one stays and all see it', async () => {
    await using cache = await testCache();
    const { store } = cache;
    const entries = await Promise.all(['one', 'two', 'three', 'four'].map((text) => addAs(store, text)));
    const [first] = entries;
    for (const entry of entries) {
      expect(entry.path).toBe(first?.path);
      expect(entry.record).toEqual(first?.record);
    }
    expect(await store.keys()).toEqual([keyFor('same')]);
    expect(await readdir(store.layout.staging)).toEqual([]);

    async function addAs(into: Store, text: string): Promise<Entry> {
      await using stage = await into.stage();
      await writeFile(join(stage.entry, 'file'), text);
      return await into.commit(stage, draft('same', 'file'));
    }
  });

  test('what stands in the place of an entry and is none is replaced', async () => {
    await using cache = await testCache();
    const { store } = cache;
    await mkdir(join(store.layout.store, keyFor('a')));
    await writeFile(join(store.layout.store, keyFor('a'), 'record.json'), '{"format":1');
    expect(await store.find(keyFor('a'))).toBeUndefined();
    await addFile(store, 'a');
    expect(await store.find(keyFor('a'))).toBeDefined();
  });

  test('entries that are detached are gone at once, and their files after disposal', async () => {
    await using cache = await testCache();
    const { store } = cache;
    const tree = await addTree(store, 'a');
    await addFile(store, 'b');
    await addFile(store, 'c');
    // A link out of the entry is removed, what it leads to is not.
    await writeFile(join(cache.path, 'other'), 'kept');
    await symlink(join(cache.path, 'other'), join(tree.path, 'link'));
    {
      await using _gone = await store.detach([keyFor('a'), keyFor('b'), keyFor('missing')]);
      expect(await store.keys()).toEqual([keyFor('c')]);
      expect(await readdir(store.layout.staging)).toHaveLength(1);
    }
    expect(await readdir(store.layout.staging)).toEqual([]);
    expect(await readFile(join(cache.path, 'other'), 'utf8')).toBe('kept');
  });

  test('a stage that is not committed goes away', async () => {
    await using cache = await testCache();
    {
      await using stage = await cache.store.stage();
      await writeFile(join(stage.entry, 'file'), 'x');
    }
    expect(await readdir(cache.store.layout.staging)).toEqual([]);
  });
});

describe('check', () => {
  const damages: readonly (readonly [string, (path: string) => Promise<void>])[] = [
    ['cut off', (path) => truncate(path, 1)],
    ['written to', (path) => writeFile(path, 'chAnged')],
    ['gone', (path) => rm(path)],
    [
      'replaced by a directory',
      async (path) => {
        await rm(path);
        await mkdir(path);
      },
    ],
  ];

  test.each(damages)('finds a file that is %s', async (_name, damage) => {
    await using cache = await testCache();
    const entry = await addFile(cache.store, 'a', 'changed');
    expect(await cache.store.check(entry, 'use')).toBeUndefined();
    await damage(entry.path);
    expect(await cache.store.check(entry, 'use')).toBeDefined();
  });

  test('finds changed bytes behind an unchanged time', async () => {
    await using cache = await testCache();
    const entry = await addFile(cache.store, 'a', 'changed');
    const { atime, mtime } = await stat(entry.path);
    const [file] = entry.record.artifact.type === 'file' ? entry.record.artifact.files : [];
    await writeFile(entry.path, 'chAnged');
    await utimes(entry.path, atime, mtime);
    // utimes() may not restore all digits of the time; the digest must find it by itself.
    const restored = {
      ...entry.record.artifact,
      files: [{ ...file, mtimeMs: (await stat(entry.path)).mtimeMs }],
    };
    const forged = { ...entry, record: { ...entry.record, artifact: restored } } as Entry;
    expect(await cache.store.check(forged, 'use')).toContain('content');
  });

  test('samples large files, and finds a zeroed stretch', async () => {
    await using cache = await testCache();
    const content = Buffer.alloc(20 << 20, 'x');
    const entry = await addFile(cache.store, 'large', content);
    const [file] = entry.record.artifact.type === 'file' ? entry.record.artifact.files : [];
    expect(file?.sha256).toBeUndefined();
    expect(await cache.store.check(entry, 'full')).toBeUndefined();
    await writeFile(entry.path, content.fill(0, 4 << 20, 8 << 20));
    const mtimeMs = (await stat(entry.path)).mtimeMs;
    const forged = {
      ...entry,
      record: { ...entry.record, artifact: { type: 'file', files: [{ ...file, mtimeMs }] } },
    };
    expect(await cache.store.check(forged as Entry, 'use')).toContain('content');
  });

  test.each([
    ['a changed file', (tree: string) => writeFile(join(tree, 'usr/bin/t'), 'other')],
    ['a new file', (tree: string) => writeFile(join(tree, 'new'), '')],
    ['a missing file', (tree: string) => rm(join(tree, 'usr/bin/t'))],
    ['a renamed file', (tree: string) => rename(join(tree, 'usr/bin/t'), join(tree, 'usr/bin/u'))],
  ])('finds %s in a tree', async (_name, damage) => {
    await using cache = await testCache();
    const entry = await addTree(cache.store, 't');
    expect(await cache.store.check(entry, 'use')).toBeUndefined();
    await damage(entry.path);
    expect(await cache.store.check(entry, 'use')).toBeDefined();
  });
});

describe('parseRecord', () => {
  test.each(['', 'null', '[]', '{"format":2}', '{"format":1,"key":"../../etc"}'])('refuses %j', (text) => {
    expect(parseRecord(text)).toBeUndefined();
  });

  test('refuses a file name that leads out of the entry', async () => {
    await using cache = await testCache();
    const { record } = await addFile(cache.store, 'a');
    const bad = { ...record, artifact: { type: 'files', files: [{ name: '../x', bytes: 0, mtimeMs: 0 }] } };
    expect(parseRecord(JSON.stringify(record))).toEqual(record);
    expect(parseRecord(JSON.stringify(bad))).toBeUndefined();
  });
});

describe('an artifact that was moved out', () => {
  test('is found where it went, until it changes there', async () => {
    await using cache = await testCache();
    const { store } = cache;
    const entry = await addFile(store, 'a');
    const target = hostPath(join(cache.path, 'image.raw'));
    await rename(entry.path, target);
    expect(await store.find(keyFor('a'))).toBeUndefined();
    await store.recordMove(keyFor('a'), target);
    expect((await store.find(keyFor('a')))?.path).toBe(target);
    await writeFile(target, 'other');
    expect(await store.find(keyFor('a'))).toBeUndefined();
  });
});

describe('stale stages', () => {
  test('of dead processes are removed, those of living ones stay', async () => {
    await using cache = await testCache();
    const { store } = cache;
    await using mine = await store.stage();
    const dead = { ...currentOwner(), start: '1' };
    const rebooted = { ...currentOwner(), boot: '00000000' };
    for (const owner of [dead, rebooted]) {
      await mkdir(join(store.layout.staging, `${formatOwner(owner)}.abc`, 'entry'), { recursive: true });
    }
    await mkdir(join(store.layout.staging, 'rubbish'));
    expect(await removeStaleStages(store.layout.staging)).toBe(3);
    expect(await readdir(store.layout.staging)).toEqual([
      mine.directory.slice(store.layout.staging.length + 1),
    ]);
  });

  test('owners are told by name', () => {
    const owner = currentOwner();
    expect(parseOwner(`${formatOwner(owner)}.random`)).toEqual(owner);
    expect(isAlive(owner, 0)).toBe(true);
    expect(parseOwner('12-x')).toBeUndefined();
    const elsewhere = { ...owner, pidNamespace: '1' };
    expect(isAlive(elsewhere, Date.now())).toBe(true);
    expect(isAlive(elsewhere, Date.now() - 25 * 60 * 60 * 1000)).toBe(false);
  });
});

describe('prune', () => {
  const age = async (store: Store, key: StepKey, milliseconds: number): Promise<void> => {
    const then = new Date(Date.now() - milliseconds);
    await utimes(join(store.layout.store, key, 'record.json'), then, then);
  };
  const { signal } = new AbortController();

  test('removes what was not used for long, but no layer that a tree stands on', async () => {
    await using cache = await testCache();
    const { store } = cache;
    const base = await addTree(store, 'base');
    const top = await addTree(store, 'top', base.record.layers);
    await addFile(store, 'old');
    await age(store, keyFor('base'), 5000);
    await age(store, keyFor('old'), 5000);
    expect(await prune(store, { olderThan: 1000 }, signal)).toMatchObject({ removed: 1, inUse: 0 });
    expect(await store.keys()).toEqual([base.record.key, top.record.key].sort());
    expect(await prune(store, { all: true }, signal)).toMatchObject({ removed: 2 });
    expect(await readdir(store.layout.staging)).toEqual([]);
  });

  test('leaves what a running build used', async () => {
    await using cache = await testCache();
    const { store } = cache;
    await addFile(store, 'before');
    await age(store, keyFor('before'), 5000);
    await addFile(store, 'touched');
    await age(store, keyFor('touched'), 5000);
    await using _running = await markRunning(hostPath(join(store.layout.state, 'running')));
    await store.touch(keyFor('touched'));
    expect(await prune(store, { all: true }, signal)).toMatchObject({ removed: 1, inUse: 1 });
    expect(await store.keys()).toEqual([keyFor('touched')]);
  });

  test('trims to a size, the longest unused first', async () => {
    await using cache = await testCache();
    const { store } = cache;
    for (const [index, name] of ['a', 'b', 'c'].entries()) {
      await addFile(store, name, 'x'.repeat(100));
      await age(store, keyFor(name), 10_000 - index * 1000);
    }
    const entries = await listEntries(store);
    expect(entries.map(({ bytes }) => bytes)).toEqual([100, 100, 100]);
    expect([...chooseDoomed(entries, { maximumBytes: 150 })]).toEqual(entries.slice(0, 2));
    expect([...chooseDoomed(entries, { maximumBytes: 300 })]).toEqual([]);
  });

  test('trims packages with the rest', async () => {
    await using cache = await testCache();
    const { store } = cache;
    await addFile(store, 'a', 'x'.repeat(100));
    await age(store, keyFor('a'), 5000);
    const [old, young] = ['old', 'young'].map((name) => join(store.layout.packages, `${name}.deb`));
    await writeFile(old ?? '', 'x'.repeat(100));
    await writeFile(young ?? '', 'x'.repeat(100));
    await utimes(old ?? '', 1, 1);
    expect(await prunableBytes(store, { maximumBytes: 250 })).toBe(100);
    const kept = { removed: 0, bytes: 0 };
    expect(await prune(store, { maximumBytes: 300 }, signal)).toMatchObject({ ...kept, packages: kept });
    expect(await prune(store, { maximumBytes: 250 }, signal)).toMatchObject({
      ...kept,
      packages: { removed: 1, bytes: 100 },
    });
    expect(await prune(store, { maximumBytes: 150 }, signal)).toMatchObject({ removed: 1, bytes: 100 });
    expect(await readdir(store.layout.packages)).toEqual(['young.deb']);
  });

  test('takes what a project stands on for used when the project is', async () => {
    await using cache = await testCache();
    const { store } = cache;
    const { state } = store.layout;
    for (const name of ['mine', 'nobodys']) {
      await addFile(store, name);
      await age(store, keyFor(name), 5000);
    }
    const project = hostPath('/a/project');
    await touchProject(state, project);
    expect(await listProjects(state)).toEqual([]);
    await noteProject(state, project, [keyFor('mine'), keyFor('mine')]);
    expect(await listProjects(state)).toMatchObject([{ directory: project, keys: [keyFor('mine')] }]);
    expect(await prune(store, { olderThan: 1000 }, signal)).toMatchObject({ removed: 1 });
    expect(await store.keys()).toEqual([keyFor('mine')]);
  });

  test('bears times in the future, from before the clock was set back', async () => {
    await using cache = await testCache();
    const { store } = cache;
    for (const name of ['a', 'b']) await addFile(store, name, 'x'.repeat(100));
    await age(store, keyFor('a'), -1e10);
    await age(store, keyFor('b'), 5000);
    const { state } = store.layout;
    expect((await listEntries(store)).map(({ key }) => key)).toEqual([keyFor('b'), keyFor('a')]);
    expect(await prune(store, { maximumBytes: 100 }, signal)).toMatchObject({ removed: 1 });
    expect(await store.keys()).toEqual([keyFor('a')]);
    await writeFile(join(state, 'trimmed'), '');
    await utimes(join(state, 'trimmed'), Date.now() / 1000 + 1e7, Date.now() / 1000 + 1e7);
    expect(await trimAfterBuild(store, undefined, signal)).toMatchObject({ removed: 0 });
    expect(await trimAfterBuild(store, undefined, signal)).toBe(undefined);
    expect(await trimAfterBuild(store, 50, signal)).toMatchObject({ removed: 1 });
  });
});
