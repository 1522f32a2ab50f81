import { mkdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../../src/base/brand.ts';
import { temporaryDirectory } from '../../../../src/base/temporary.ts';
import type { LinkOptions, LinkSource, TreeBelow } from '../../../../src/steps/apt/linking.ts';
import { linkOrCopy, makeLinks, planLinks } from '../../../../src/steps/apt/linking.ts';
import type { Member, MemberType } from '../../../../src/steps/apt/unpacked.ts';

const options = { merged: ['bin', 'lib'], documentation: true };

function member(path: string, type: MemberType = path.endsWith('/') ? 'directory' : 'file'): Member {
  return { path: path.replace(/\/$/, ''), type, mode: 0o755, uid: 0, gid: 0 };
}

function source(paths: readonly string[], more: Partial<LinkSource> = {}): LinkSource {
  return {
    members: paths.map((path) => member(path)),
    conffiles: new Set(),
    isBase: false,
    ...more,
  };
}

/** `directory/` and `file` of a plan; the reason when there is none. */
function placesOf(sources: readonly LinkSource[], more: Partial<LinkOptions> = {}) {
  const plan = planLinks(sources, { ...options, ...more });
  if ('reason' in plan) return plan.reason;
  return [...plan.directories.map(({ path }) => `${path}/`), ...plan.links.map(({ to }) => to)];
}

describe('planLinks', () => {
  it('puts what is in merged top directories into /usr', () => {
    const places = placesOf([
      source(['', 'lib/', 'lib/x/', 'lib/x/a']),
      source(['usr/', 'usr/lib/', 'usr/b']),
    ]);
    expect(places).toEqual(['usr/', 'usr/lib/', 'usr/lib/x/', 'usr/lib/x/a', 'usr/b']);
  });

  it('keeps the link of a merged directory that a package brings', () => {
    expect(placesOf([{ ...source([]), members: [member('bin', 'symlink')] }])).toEqual(['bin']);
  });

  it('takes the mode of a directory from the first package, and makes those that no package has', () => {
    const own = { ...member('etc/'), mode: 0o700 };
    const plan = planLinks([{ ...source([]), members: [own] }, source(['etc/', 'opt/x/y'])], options);
    expect(plan).toMatchObject({
      directories: [
        { path: 'etc', mode: 0o700 },
        { path: 'opt', mode: 0o755 },
        { path: 'opt/x', mode: 0o755 },
      ],
    });
  });

  it('lets configuration files wait for their package to be set up; those of the base set are there before', () => {
    const conffiles = new Set(['etc/x']);
    expect(placesOf([source(['etc/x'], { conffiles })])).toEqual(['etc/', 'etc/x.dpkg-new']);
    const base = source(['etc/x'], { conffiles, isBase: true });
    expect(placesOf([base])).toEqual(['etc/', 'etc/x', 'etc/x.dpkg-new']);
  });

  it("leaves documentation out by the rules of dpkg's filters", () => {
    const paths = [
      ...['usr/share/doc/x/', 'usr/share/doc/x/copyright', 'usr/share/doc/x/changelog', 'usr/share/info/x'],
      ...['usr/share/man/man1/', 'usr/share/man/man1/x', 'usr/share/man/de/man1/', 'usr/share/documents/x'],
    ];
    const link = member('usr/share/doc/y', 'symlink');
    const all = { ...source(paths), members: [...source(paths).members, link] };
    expect(placesOf([all], { documentation: false })).toEqual([
      ...[
        'usr/',
        'usr/share/',
        'usr/share/doc/',
        'usr/share/doc/x/',
        'usr/share/man/',
        'usr/share/man/man1/',
      ],
      ...['usr/share/documents/', 'usr/share/doc/x/copyright', 'usr/share/documents/x', 'usr/share/doc/y'],
    ]);
  });

  it.each([
    ['a file in two packages', [source(['usr/x']), source(['usr/x'])], '/usr/x is in two packages'],
    ['the same by a merged directory', [source(['bin/x']), source(['usr/bin/x'])], '/usr/bin/x is in two'],
    [
      'a directory that is a file elsewhere',
      [source(['opt/x']), source(['opt/x/y'])],
      '/opt/x is a directory',
    ],
    ['a path out of the tree', [source(['opt/../../x'])], 'leads out of the tree'],
    [
      'a link as configuration',
      [{ ...source([]), members: [member('etc/x', 'symlink')], conffiles: new Set(['etc/x']) }],
      'is no file',
    ],
  ])('leaves %s to dpkg', (_name, sources, reason) => {
    expect(placesOf(sources)).toContain(reason);
  });
});

describe('planLinks above a tree', () => {
  const known: Readonly<Record<string, ReturnType<TreeBelow['at']>>> = {
    etc: { mode: 0o700, uid: 3, gid: 4 },
    'etc/file': 'other',
    run: 'other',
  };
  const below: TreeBelow = { at: (path) => known[path], isClaimed: (path) => path === 'etc/diverted' };

  it('gives directories that are there the mode and owner that they have there', () => {
    const plan = planLinks([source(['etc/', 'etc/x/', 'etc/x/y'])], { ...options, below });
    expect(plan).toMatchObject({
      directories: [
        { path: 'etc', mode: 0o700, uid: 3, gid: 4 },
        { path: 'etc/x', mode: 0o755, uid: 0, gid: 0 },
      ],
    });
  });

  it.each([
    ['a file that is there', ['etc/file'], '/etc/file is in two packages'],
    ['a directory where a link is', ['run/x'], '/run is a directory'],
    ['a diverted file', ['etc/diverted'], '/etc/diverted is diverted'],
  ])('leaves %s to dpkg', (_name, paths, reason) => {
    expect(placesOf([source(paths)], { below })).toContain(reason);
  });
});

describe('makeLinks', () => {
  it('makes directories with their modes and links to the files', async () => {
    await using scratch = await temporaryDirectory('/var/tmp', 'mkimg-links-');
    const [root, data] = ['root', 'data'].map((name) => hostPath(join(scratch.path, name)));
    if (root === undefined || data === undefined) throw new Error('no places');
    await mkdir(root);
    await mkdir(data);
    await writeFile(join(data, 'ä'), 'text');
    const latin1 = Buffer.from('ä').toString('latin1');
    const plan = {
      directories: [
        { path: 'tmp', mode: 0o1777, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
      ],
      links: [{ source: 0, from: latin1, to: `tmp/${latin1}` }],
    };
    await makeLinks(root, plan, {
      put: ({ from }, target) =>
        linkOrCopy(Buffer.concat([Buffer.from(`${data}/`), Buffer.from(from, 'latin1')]), target),
      signal: new AbortController().signal,
    });
    expect((await stat(join(root, 'tmp'))).mode & 0o7777).toBe(0o1777);
    expect((await stat(join(root, 'tmp/ä'))).ino).toBe((await stat(join(data, 'ä'))).ino);
  });
});

describe('linkOrCopy', () => {
  it('copies to another file system, with mode and time', async () => {
    await using from = await temporaryDirectory('/var/tmp', 'mkimg-from-');
    await using to = await temporaryDirectory('/dev/shm', 'mkimg-to-');
    await writeFile(join(from.path, 'file'), 'text', { mode: 0o640 });
    await symlink('nowhere', join(from.path, 'link'));
    for (const name of ['file', 'link']) linkOrCopy(join(from.path, name), join(to.path, name));
    expect(await readFile(join(to.path, 'file'), 'utf8')).toBe('text');
    expect(await readlink(join(to.path, 'link'))).toBe('nowhere');
    const [before, after] = [await stat(join(from.path, 'file')), await stat(join(to.path, 'file'))];
    expect(after.mode).toBe(before.mode);
    expect(Math.abs(after.mtimeMs - before.mtimeMs)).toBeLessThan(2);
  });
});
