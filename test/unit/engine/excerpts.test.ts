import { cp, mkdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { HostPath } from '../../../src/base/brand.ts';
import { hostPath, stepId } from '../../../src/base/brand.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import type { ExcerptStates, FinishedLayer } from '../../../src/engine/excerpts.ts';
import { excerptIdentity, excerptStates } from '../../../src/engine/excerpts.ts';
import { excerptOf } from '../../../src/plan/excerpts.ts';

interface Layer {
  /** Content by path; `-> target` is a link. */
  readonly files: Readonly<Record<string, string>>;
  /** Paths that are there in the layers below and are not any more. */
  readonly without?: readonly string[];
  readonly declared?: FinishedLayer['declared'];
}

const old = new Date('2020-01-01');

async function write(root: HostPath, files: Layer['files']): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    const place = join(root, path);
    await mkdir(dirname(place), { recursive: true });
    await rm(place, { recursive: true, force: true });
    if (content.startsWith('-> ')) await symlink(content.slice(3), place);
    else {
      await writeFile(place, content);
      await utimes(place, old, old);
    }
  }
}

/** States of a tree of layers, each laid over those before as overlayfs would. */
async function statesOf(...layers: readonly Layer[]): Promise<ExcerptStates> {
  await using directory = await temporaryDirectory(tmpdir(), 'mkimg-excerpts-');
  const merged = hostPath(join(directory.path, 'merged'));
  await mkdir(merged);
  let lower: FinishedLayer['lower'];
  for (const [index, { files, without = [], declared = new Map() }] of layers.entries()) {
    const upper = hostPath(join(directory.path, String(index)));
    await mkdir(upper);
    await write(upper, files);
    for (const path of without) await rm(join(merged, path), { recursive: true });
    await cp(upper, merged, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    lower = {
      excerpts: await excerptStates({ upper, views: [merged], lower, declared, since: Date.now() - 1000 }),
    };
  }
  return lower?.excerpts ?? {};
}

const base: Layer = {
  files: {
    'usr/lib/modules/6.1/a.ko': 'module',
    'usr/lib/os-release': 'ID=test',
    'etc/os-release': '-> ../usr/lib/os-release',
    'etc/motd': 'one',
    lib: '-> usr/lib',
  },
};

describe('excerpts of a tree', () => {
  test('do not change with the rest of the tree', async () => {
    const before = await statesOf(base);
    expect(Object.keys(before).sort()).toEqual(['boot', 'kernel']);
    expect(await statesOf(base, { files: { 'etc/motd': 'two', 'usr/lib/other': 'x' } })).toEqual(before);
  });

  test.each<[string, Layer]>([
    ['a file with another content', { files: { 'usr/lib/modules/6.1/a.ko': 'MODULE' } }],
    ['a file more', { files: { 'usr/lib/modules/6.1/b.ko': 'module' } }],
    ['a directory more', { files: { 'usr/lib/modules/6.2/.keep': '' } }],
    ['firmware', { files: { 'usr/lib/firmware/a': 'x' } }],
    ['a link within', { files: { 'usr/lib/modules/6.1/c.ko': '-> a.ko' } }],
    ['a directory that was made anew', { files: {}, without: ['usr/lib/modules'] }],
    ['one made anew above it', { files: { 'usr/lib/x': '' }, without: ['usr/lib'] }],
  ])('change with %s', async (_, layer) => {
    const before = await statesOf(base);
    const after = await statesOf(base, layer);
    expect(after.kernel).toBeDefined();
    expect(after.kernel).not.toEqual(before.kernel);
  });

  test('change with a directory of a layer that hides the one below', async () => {
    const layer: Layer = { files: { 'usr/lib/modules/6.1/b.ko': 'b' } };
    const hiding: Layer = { ...layer, without: ['usr/lib/modules/6.1'] };
    expect((await statesOf(base, layer)).kernel).not.toEqual((await statesOf(base, hiding)).kernel);
  });

  test('are the same for a layer with the same files', async () => {
    const layer: Layer = { files: { 'usr/lib/modules/6.1/b.ko': 'b', 'etc/motd': 'x' } };
    const other: Layer = { files: { 'usr/lib/modules/6.1/b.ko': 'b', 'etc/motd': 'y' } };
    expect(await statesOf(base, layer)).toEqual(await statesOf(base, other));
  });

  test.each([
    ['out of it', { 'usr/lib/modules/6.1/b.ko': '-> /opt/b.ko' }],
    ['into another excerpt', { 'usr/lib/firmware/a': '-> ../os-release' }],
    ['to a directory above', { 'usr/lib/firmware': '-> ../lib' }],
    ['on the way to it', { 'usr/lib': '-> /elsewhere' }],
  ])('are not told apart where a link leads %s, nor in later layers', async (_, files) => {
    const states = await statesOf(
      { files: 'usr/lib' in files ? files : { ...base.files, ...files } },
      { files: { 'etc/motd': 'two' } },
    );
    expect(states.kernel).toBeUndefined();
  });

  test('may have links to where the kernel was built', async () => {
    const files = { ...base.files, 'usr/lib/modules/6.1/build': '-> /usr/src/linux' };
    expect((await statesOf({ files })).kernel).toBeDefined();
  });

  test('are what a step says that they were made from', async () => {
    const made = (from: string): Layer => ({ ...base, declared: new Map([['kernel', from]]) });
    const [one, same, other] = await Promise.all(['one', 'one', 'two'].map((from) => statesOf(made(from))));
    expect(one).toEqual(same);
    expect(one?.kernel).not.toEqual(other?.kernel);
    expect(one?.boot).toEqual(other?.boot);
  });

  test('stand for the tree in keys, all of them or none', async () => {
    const states = await statesOf(base);
    const reference = excerptOf({ $ref: stepId('a'), type: 'tree' }, ['kernel', 'boot']);
    expect(excerptIdentity(reference, { excerpts: states })).toMatch(/^[0-9a-f]{64}$/);
    expect(excerptIdentity(reference, { excerpts: { boot: states.boot ?? {} } })).toBeUndefined();
    expect(excerptIdentity(reference, {})).toBeUndefined();
  });
});
