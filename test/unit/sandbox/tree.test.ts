import { execFileSync } from 'node:child_process';
import { chmod, lstat, mkdir, mkdtemp, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, posix } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPath } from '../../../src/base/brand.ts';
import { hostPath, treePath } from '../../../src/base/brand.ts';
import { resolveInTree } from '../../../src/sandbox/resolve.ts';
import { treeAt } from '../../../src/sandbox/tree.ts';

let scratch: string;
let root: HostPath;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'mkimg-tree-'));
  root = hostPath(join(scratch, 'root'));
  await mkdir(root);
  await mkdir(join(scratch, 'host'));
  await writeFile(join(scratch, 'host/secret'), 'host');
});

afterEach(() => rm(scratch, { recursive: true, force: true }));

/** Makes files, directories (names that end in a slash) and links (`path -> target`) in the tree. */
async function plant(...entries: readonly string[]): Promise<void> {
  for (const entry of entries) {
    const [name = '', target] = entry.split(' -> ');
    const path = join(root, name);
    await mkdir(entry.endsWith('/') ? path : dirname(path), { recursive: true });
    if (target !== undefined) await symlink(target, path);
    else if (!entry.endsWith('/')) await writeFile(path, `content of ${name}`);
  }
}

describe('resolveInTree', () => {
  it('reads absolute and climbing links as chroot does', async () => {
    await plant(
      'usr/lib/os-release',
      'lib -> /usr/lib',
      'etc/os-release -> ../../../../../usr/lib/os-release',
    );
    expect(await resolveInTree(root, 'lib/os-release', 'follow')).toEqual({
      path: join(root, 'usr/lib/os-release'),
      exists: true,
    });
    expect((await resolveInTree(root, 'etc/os-release', 'follow')).path).toBe(
      join(root, 'usr/lib/os-release'),
    );
    expect((await resolveInTree(root, 'etc/os-release', 'keep')).path).toBe(join(root, 'etc/os-release'));
  });

  it('takes what does not exist literally, behind a dangling link too', async () => {
    await plant('etc/resolv.conf -> ../run/systemd/resolve/stub-resolv.conf');
    expect(await resolveInTree(root, 'etc/resolv.conf', 'follow')).toEqual({
      path: join(root, 'run/systemd/resolve/stub-resolv.conf'),
      exists: false,
    });
  });

  it('tells of links that go round', async () => {
    await plant('a -> b', 'b -> /a', 'self -> self/x');
    for (const path of ['a', 'a/c', 'self']) {
      await expect(resolveInTree(root, path, 'follow')).rejects.toMatchObject({ code: 'bad-tree-path' });
    }
  });

  it('agrees with chroot on hostile trees, and never leaves the root', async () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd');
    const part = fc.oneof({ weight: 4, arbitrary: name }, { weight: 2, arbitrary: fc.constant('..') });
    const path = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/'));
    const target = fc
      .tuple(fc.constantFrom('', '/', '../../../../../../', './', '/../..//'), path)
      .map(([prefix, rest]) => prefix + rest);
    const place = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
    const entry = fc.record({ place, target: fc.option(target, { nil: undefined }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(entry, { maxLength: 8 }),
        fc.array(path, { minLength: 1 }),
        async (entries, paths) => {
          await rm(root, { recursive: true });
          const model = await grow(entries);
          for (const asked of paths) {
            const expected = walk(model, asked);
            const actual = await resolveInTree(root, asked, 'follow').catch((error: unknown) => error);
            if (actual instanceof Error) {
              expect(expected, `${asked} in ${JSON.stringify([...model])}`).toBe('error');
              continue;
            }
            expect(actual).toMatchObject({ path: posix.join(root, expected) });
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

type Model = Map<string, string | undefined>;

/** Plants directories and links where nothing stands in the way, and says what is there (undefined: a directory). */
async function grow(entries: readonly { place: string; target: string | undefined }[]): Promise<Model> {
  await mkdir(root);
  const model: Model = new Map([['', undefined]]);
  for (const { place, target } of entries) {
    const ancestors = place.split('/').map((_, index, parts) => parts.slice(0, index).join('/'));
    if (model.has(place) || ancestors.some((ancestor) => model.get(ancestor) !== undefined)) continue;
    for (const ancestor of ancestors) model.set(ancestor, undefined);
    await mkdir(join(root, dirname(place)), { recursive: true });
    if (target === undefined) await mkdir(join(root, place));
    else await symlink(target, join(root, place));
    model.set(place, target);
  }
  return model;
}

/** What chroot would find, by the text of the tree alone. */
function walk(model: Model, asked: string): string {
  let pending = asked.split('/');
  let here: string[] = [];
  let missing = false;
  for (let steps = 0; pending.length > 0; steps++) {
    if (steps > 2000) return 'error';
    const [part = '', ...rest] = pending;
    pending = rest;
    if (part === '' || part === '.') continue;
    if (part === '..') {
      if (missing) return 'error';
      here = here.slice(0, -1);
      continue;
    }
    const next = [...here, part].join('/');
    const target = missing ? undefined : model.get(next);
    missing ||= !model.has(next);
    if (target === undefined) here = [...here, part];
    else {
      if (target.startsWith('/')) here = [];
      pending = [...target.split('/'), ...pending];
    }
  }
  return here.join('/');
}

describe('treeAt', () => {
  const p = treePath;

  it('writes through links of directories, inside the tree only', async () => {
    await plant('etc -> /../../host', 'out -> ../host/secret');
    const tree = treeAt(root);
    await tree.writeText(p('etc/secret'), 'mine');
    await tree.writeText(p('out'), 'mine too', 0o640);
    expect(await readFile(join(scratch, 'host/secret'), 'utf8')).toBe('host');
    expect(await readFile(join(root, 'host/secret'), 'utf8')).toBe('mine');
    // A link in the last place is replaced.
    expect((await lstat(join(root, 'out'))).mode & 0o7777).toBe(0o640);
    expect(await tree.readText(p('/etc/secret'))).toBe('mine');
  });

  it('makes parents with their mode, whatever the umask', async () => {
    const old = process.umask(0o077);
    try {
      await treeAt(root).writeText(p('a/b/file'), 'x', 0o755);
      await treeAt(root).mkdir(p('c/tmp'), 0o1777);
    } finally {
      process.umask(old);
    }
    expect((await lstat(join(root, 'a/b'))).mode & 0o7777).toBe(0o755);
    expect((await lstat(join(root, 'a/b/file'))).mode & 0o7777).toBe(0o755);
    expect((await lstat(join(root, 'c/tmp'))).mode & 0o7777).toBe(0o1777);
  });

  it('leaves a directory as it is, and does not put one in place of a file', async () => {
    await plant('dir/', 'file');
    await chmod(join(root, 'dir'), 0o700);
    await treeAt(root).mkdir(p('dir'));
    expect((await lstat(join(root, 'dir'))).mode & 0o7777).toBe(0o700);
    await expect(treeAt(root).mkdir(p('file/sub'))).rejects.toMatchObject({ code: 'bad-tree-path' });
    await expect(treeAt(root).writeText(p('dir'), 'x')).rejects.toMatchObject({ code: 'bad-tree-path' });
  });

  it('removes links, not what they lead to', async () => {
    await plant('keep/file', 'd/link -> /keep', 'd/out -> ../../host');
    await treeAt(root).remove(p('d'));
    await treeAt(root).remove(p('nothing/here'));
    expect(await treeAt(root).list(p('d'))).toEqual([]);
    expect(await treeAt(root).exists(p('keep/file'))).toBe(true);
    expect(await readFile(join(scratch, 'host/secret'), 'utf8')).toBe('host');
    await expect(treeAt(root).remove(p('/'))).rejects.toThrow('internal');
  });

  it('does not read what is not a regular file, and does not wait for it', async () => {
    execFileSync('mkfifo', [join(root, 'pipe')]);
    await plant('dir/');
    await expect(treeAt(root).readText(p('pipe'))).rejects.toMatchObject({ code: 'bad-tree-path' });
    await expect(treeAt(root).readText(p('dir'))).rejects.toMatchObject({ code: 'bad-tree-path' });
    expect(await treeAt(root).readText(p('none'))).toBeUndefined();
    expect(await treeAt(root).readText(p('pipe/below'))).toBeUndefined();
  });

  it('tells types and links, and lists sorted by bytes', async () => {
    await plant('d/b', 'd/Z/', 'd/ä', 'd/a -> nowhere');
    const tree = treeAt(root);
    expect(await tree.list(p('d'))).toEqual([
      { name: 'Z', type: 'directory' },
      { name: 'a', type: 'symlink' },
      { name: 'b', type: 'file' },
      { name: 'ä', type: 'file' },
    ]);
    expect(await tree.type(p('d/a'))).toBe('symlink');
    expect(await tree.exists(p('d/a'))).toBe(false);
    expect(await tree.readLink(p('d/a'))).toBe('nowhere');
    expect(await tree.readLink(p('d/b'))).toBeUndefined();
    expect(await tree.type(p('d/none'))).toBeUndefined();
  });

  it('replaces files and links by links', async () => {
    await plant('etc/localtime', 'etc/old -> /x');
    await treeAt(root).symlink(p('etc/localtime'), '../usr/share/zoneinfo/UTC');
    await treeAt(root).symlink(p('etc/old'), '/y');
    expect(await readlink(join(root, 'etc/localtime'))).toBe('../usr/share/zoneinfo/UTC');
    expect(await readlink(join(root, 'etc/old'))).toBe('/y');
  });
});

describe('glob', () => {
  async function glob(pattern: string): Promise<readonly string[]> {
    return treeAt(root).glob(pattern);
  }

  it('knows the wildcards of RemoveFiles=', async () => {
    await plant(
      'usr/share/doc/a/x',
      'usr/share/doc/.hidden',
      'usr/share/man',
      'var/log/a.log',
      'var/log/b.txt',
    );
    expect(await glob('/usr/share/doc/*')).toEqual(['usr/share/doc/.hidden', 'usr/share/doc/a']);
    expect(await glob('var/log/*.log')).toEqual(['var/log/a.log']);
    expect(await glob('var/log/[ab].???')).toEqual(['var/log/a.log', 'var/log/b.txt']);
    expect(await glob('/usr/share/man')).toEqual(['usr/share/man']);
    expect(await glob('**/x')).toEqual(['usr/share/doc/a/x']);
    expect(await glob('/usr/share/doc/**')).toEqual([
      'usr/share/doc',
      'usr/share/doc/.hidden',
      'usr/share/doc/a',
      'usr/share/doc/a/x',
    ]);
    expect(await glob('none/*')).toEqual([]);
    expect(await glob('{usr,var}')).toEqual([]);
  });

  it('goes through links of directories inside the tree, but not out and not round', async () => {
    await plant('usr/lib/modules/6.1/vmlinuz', 'lib -> /usr/lib', 'out -> ../host', 'usr/loop -> /usr/..');
    expect(await glob('/lib/modules/*')).toEqual(['usr/lib/modules/6.1']);
    expect(await glob('/*/modules/*/vmlinuz')).toEqual(['usr/lib/modules/6.1/vmlinuz']);
    expect(await glob('out/*')).toEqual([]);
    expect(await glob('**/vmlinuz')).toEqual(['usr/lib/modules/6.1/vmlinuz']);
    expect(await glob('li*')).toEqual(['lib']);
  });
});
