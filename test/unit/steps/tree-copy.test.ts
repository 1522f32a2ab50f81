import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hostPath, treePath } from '../../../src/base/brand.ts';
import type { HostPath } from '../../../src/base/brand.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import { treeAt } from '../../../src/sandbox/tree.ts';
import { sourceKind } from '../../../src/steps/copy-trees.ts';
import { copyScript, planCopy } from '../../../src/steps/tree-copy.ts';

/** Makes files, directories (names that end with a slash) and links ('name -> target'). */
async function files(root: HostPath, ...names: readonly string[]): Promise<HostPath> {
  await mkdir(root, { recursive: true });
  for (const name of names) {
    const [path = '', target] = name.split(' -> ');
    await mkdir(path.endsWith('/') ? join(root, path) : dirname(join(root, path)), { recursive: true });
    if (target !== undefined) await symlink(target, join(root, path));
    else if (!path.endsWith('/')) await writeFile(join(root, path), path);
  }
  return root;
}

async function plan(sourceNames: readonly string[], treeNames: readonly string[], target = '') {
  await using scratch = await temporaryDirectory('/tmp', 'mkimg-copy-');
  const source = await files(hostPath(join(scratch.path, 'source')), ...sourceNames);
  const root = await files(hostPath(join(scratch.path, 'tree')), ...treeNames);
  const copy = { source, target: treePath(target), ownership: 'root' as const };
  const { batches } = await planCopy(copy, treeAt(root));
  return batches;
}

describe('planCopy', () => {
  it('takes what is new as a whole', async () => {
    expect(await plan(['etc/a', 'etc/b/c', 'usr/lib/d'], [])).toEqual([
      { from: '', into: '', names: ['etc', 'usr'] },
    ]);
  });

  it('goes into directories that both have, and replaces files and links', async () => {
    expect(await plan(['etc/a', 'etc/b/c', 'top'], ['etc/a', 'etc/b/', 'top -> etc/a'])).toEqual([
      { from: '', into: '', names: ['top'] },
      { from: 'etc', into: 'etc', names: ['a'] },
      { from: 'etc/b', into: 'etc/b', names: ['c'] },
    ]);
  });

  it('goes where links of the tree lead inside the tree', async () => {
    const names = await plan(
      ['bin/tool', 'lib/x/y', 'evil/f', 'abs/g'],
      [
        'usr/bin/',
        'usr/lib/x/',
        'bin -> usr/bin',
        'lib -> /usr/lib',
        'evil -> ../../../../etc',
        'abs -> /new/place',
      ],
    );
    expect(names).toEqual([
      { from: 'abs', into: 'new/place', names: ['g'] },
      { from: 'bin', into: 'usr/bin', names: ['tool'] },
      { from: 'evil', into: 'etc', names: ['f'] },
      { from: 'lib/x', into: 'usr/lib/x', names: ['y'] },
    ]);
  });

  it('copies into a target, made if it is missing', async () => {
    expect(await plan(['f'], ['opt -> var/opt', 'var/'], 'opt/app')).toEqual([
      { from: '', into: 'var/opt/app', names: ['f'] },
    ]);
  });

  it('takes links of the source as links', async () => {
    expect(await plan(['etc -> /etc', 'usr/'], ['usr/'])).toEqual([{ from: '', into: '', names: ['etc'] }]);
  });

  it.each([
    [['a/b'], ['a']],
    [['a'], ['a/b']],
  ])('refuses a directory in place of a file and the other way round', async (source, tree) => {
    await expect(plan(source, tree)).rejects.toMatchObject({ code: 'tree-conflict' });
  });

  it('gives a single file the name of its target', async () => {
    await using scratch = await temporaryDirectory('/tmp', 'mkimg-copy-');
    const root = await files(hostPath(join(scratch.path, 'tree')), 'etc/');
    const source = hostPath(join(scratch.path, 'motd.txt'));
    await writeFile(source, '');
    const copy = { source, ownership: 'root' } as const;
    expect(await planCopy({ ...copy, target: treePath('etc/motd') }, treeAt(root))).toEqual({
      mountedAt: '/run/source/motd',
      batches: [{ from: '', into: 'etc', names: ['motd'] }],
    });
    expect(await planCopy({ ...copy, target: treePath('') }, treeAt(root))).toEqual({
      mountedAt: '/run/source/motd.txt',
      batches: [{ from: '', into: '', names: ['motd.txt'] }],
    });
  });

  it('names the source that is missing', async () => {
    await using scratch = await temporaryDirectory('/tmp', 'mkimg-copy-');
    const source = hostPath(join(scratch.path, 'nowhere'));
    await expect(
      planCopy({ source, target: treePath(''), ownership: 'root' }, treeAt(scratch.path)),
    ).rejects.toMatchObject({ code: 'tree-missing' });
  });
});

describe('copyScript', () => {
  it('quotes names, whatever they hold', () => {
    expect(copyScript([{ from: 'a', into: 'b', names: ["it's", '-x', 'two words'] }], 'root')).toBe(
      'cp --archive --remove-destination --reflink=auto --no-preserve=ownership,timestamps,xattr' +
        " --target-directory='/buildroot/b' -- '/run/source/a/it'\\''s' '/run/source/a/-x' '/run/source/a/two words'\n",
    );
  });

  it('keeps owners when asked, and splits long lists', () => {
    const names = Array.from({ length: 1001 }, (_, index) => String(index));
    const lines = copyScript([{ from: '', into: '', names }], 'kept')
      .trim()
      .split('\n');
    expect(lines).toHaveLength(3);
    expect(lines.every((line) => !line.includes('ownership'))).toBe(true);
    expect(lines[2]).toMatch(/ -- '\/run\/source\/1000'$/);
  });
});

describe('sourceKind', () => {
  const to = (target: string, directory = false) => ({ directory, target: treePath(target) });
  it('follows mkosi', () => {
    expect(sourceKind('mkimg.extra.tar', to(''))).toBe('archive');
    expect(sourceKind('base.tar.zst', to(''))).toBe('archive');
    expect(sourceKind('base.tgz', to(''))).toBe('archive');
    expect(sourceKind('base.tar.zst', to('srv/base.tar.zst'))).toBe('copy');
    expect(sourceKind('dir.tar', to('', true))).toBe('copy');
    expect(sourceKind('disk.raw', to(''))).toBe('disk-image');
    expect(sourceKind('motd', to(''))).toBe('copy');
  });
});
