import { createHash } from 'node:crypto';
import {
  chmod,
  link,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readlink,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPath } from '../../../../src/base/brand.ts';
import { hostPath } from '../../../../src/base/brand.ts';
import type { ResolvedPackage } from '../../../../src/distro/resolved.ts';
import { readHostDatabase } from '../../../../src/steps/host/database.ts';
import type { Inventory } from '../../../../src/steps/host/inventory.ts';
import { takeInventory } from '../../../../src/steps/host/inventory.ts';
import { installedRoot, installedUrl, repackInstalled } from '../../../../src/steps/host/repack.ts';

const md5 = (text: string): string => createHash('md5').update(text).digest('hex');

let scratch: string;
let root: HostPath;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'mkimg-repack-'));
  root = hostPath(join(scratch, 'root'));
  const info = 'var/lib/dpkg/info';
  await put('usr/bin/tool', 'program', 0o755);
  await link(join(root, 'usr/bin/tool'), join(root, 'usr/bin/tool-2'));
  await put('usr/lib/tool/data', 'data');
  await put('etc/tool.conf', 'original');
  await symlink('tool', join(root, 'usr/bin/alias'));
  await symlink('usr/lib', join(root, 'lib'));
  const paths = [
    '.',
    'etc',
    'etc/tool.conf',
    'usr',
    'usr/bin',
    'usr/bin/tool',
    'usr/bin/tool-2',
    'usr/bin/alias',
  ];
  const more = ['lib', 'lib/tool', 'lib/tool/data', 'usr/share/doc/tool/README'];
  await put(`${info}/tool.list`, [...paths, ...more].map((path) => `/${path}\n`).join(''));
  await put(`${info}/tool.md5sums`, `${md5('program')}  usr/bin/tool\n${md5('data')}  lib/tool/data\n`);
  await put(`${info}/tool.conffiles`, '/etc/tool.conf\n');
  await put(`${info}/tool.postinst`, '#!/bin/sh\n', 0o755);
  await put(`${info}/tool.other.list`, '/absent\n');
  await put(
    'var/lib/dpkg/status',
    `Package: tool\nStatus: install ok installed\nVersion: 1:2-3\nArchitecture: amd64\nConffiles:\n /etc/tool.conf ${md5('original')}\n`,
  );
});
afterEach(() => rm(scratch, { recursive: true, force: true }));

async function put(path: string, text: string, mode = 0o644): Promise<void> {
  const file = join(root, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
  await chmod(file, mode);
  await utimes(file, 1_700_000_000, 1_700_000_000);
}

async function inventory(): Promise<Inventory> {
  const database = await readHostDatabase(root);
  const [entry] = database.packages;
  if (entry === undefined) throw new Error('no package');
  return takeInventory(database, entry);
}

/** The directory of the package that is made of what is installed. */
async function repacked(): Promise<string> {
  const { entry, digest, bytes } = await inventory();
  const resolved: ResolvedPackage = {
    ...{ name: entry.name, version: entry.version, architecture: entry.architecture, source: entry.source },
    ...{
      urls: [installedUrl(root)],
      size: bytes,
      sha256: digest,
      essential: false,
      base: false,
      relations: {},
    },
  };
  const target = hostPath(await mkdtemp(join(scratch, 'packed-')));
  const [directory] = await repackInstalled([resolved], target);
  return directory ?? '';
}

describe('takeInventory', () => {
  it('finds all of a package that is as it was, but for documentation', async () => {
    const { items, modified, missing, bytes } = await inventory();
    expect(items.map(({ path, type }) => `${type} ${path}`)).toEqual([
      ...['directory ', 'directory etc', 'file etc/tool.conf', 'directory usr', 'directory usr/bin'],
      ...['file usr/bin/tool', 'file usr/bin/tool-2', 'symlink usr/bin/alias'],
      ...['directory lib', 'directory lib/tool', 'file lib/tool/data'],
    ]);
    expect({ modified, missing }).toEqual({ modified: [], missing: [] });
    expect(bytes).toBe(26);
  });

  it('does not depend on when or where', async () => {
    const before = await inventory();
    await rm(join(root, 'usr/lib/tool/data'));
    await put('usr/lib/tool/data', 'data');
    expect((await inventory()).digest).toBe(before.digest);
    await put('usr/lib/tool/data', 'date');
    expect((await inventory()).digest).not.toBe(before.digest);
  });

  it('marks what was changed and what is gone', async () => {
    await put('etc/tool.conf', 'changed');
    await put('usr/bin/tool', 'patched', 0o755);
    await rm(join(root, 'usr/lib/tool/data'));
    const { modified, missing } = await inventory();
    expect(modified).toEqual(['etc/tool.conf', 'usr/bin/tool']);
    expect(missing).toEqual(['lib/tool/data']);
  });

  it('takes the original of a configuration file that dpkg has put beside it', async () => {
    const before = await inventory();
    await put('etc/tool.conf', 'changed');
    await put('etc/tool.conf.dpkg-dist', 'original');
    const after = await inventory();
    expect(after.modified).toEqual([]);
    expect(after.digest).toBe(before.digest);
  });

  it('undoes diversions of others and overrides', async () => {
    const before = await inventory();
    await put('usr/bin/tool.real', 'program', 0o755);
    await rm(join(root, 'usr/bin/tool-2'));
    await link(join(root, 'usr/bin/tool.real'), join(root, 'usr/bin/tool-2'));
    await put('usr/bin/tool', 'of another', 0o755);
    await put('var/lib/dpkg/diversions', '/usr/bin/tool\n/usr/bin/tool.real\nother\n');
    await chmod(join(root, 'usr/lib/tool/data'), 0o600);
    await put('var/lib/dpkg/statoverride', 'root adm 600 /lib/tool/data\n');
    expect((await inventory()).digest).toBe(before.digest);
  });

  it('leaves no tree through links and paths', async () => {
    await writeFile(join(scratch, 'outside'), 'secret');
    await rm(join(root, 'usr/lib/tool'), { recursive: true });
    await symlink('../../../../..', join(root, 'usr/lib/tool'));
    await put('var/lib/dpkg/info/tool.list', '/lib\n/lib/tool\n/lib/tool/outside\n/../outside\n');
    const { items } = await inventory();
    expect(items.map(({ path }) => path)).toEqual(['lib', 'lib/tool']);
  });
});

describe('repackInstalled', () => {
  it('makes what unpacking the package would have made', async () => {
    const directory = await repacked();
    expect(await readFile(join(directory, 'data/lib/tool/data'), 'utf8')).toBe('data');
    expect(await readFile(join(directory, 'members'), 'utf8')).toContain('./usr/bin/\n./usr/bin/tool\n');
    expect(await readlink(join(directory, 'data/usr/bin/alias'))).toBe('tool');
    const [one, two] = await Promise.all(
      ['tool', 'tool-2'].map((name) => lstat(join(directory, 'data/usr/bin', name))),
    );
    expect(one?.ino).toBe(two?.ino);
    expect(one).toMatchObject({ mode: 0o100755, mtimeMs: 1_700_000_000_000 });
    expect(await readFile(join(directory, 'control/control'), 'utf8')).toBe(
      'Package: tool\nVersion: 1:2-3\nArchitecture: amd64\n',
    );
    expect((await lstat(join(directory, 'control/postinst'))).mode & 0o777).toBe(0o755);
  });

  it('does not list configuration files that are gone', async () => {
    await rm(join(root, 'etc/tool.conf'));
    expect(await readFile(join(await repacked(), 'control/conffiles'), 'utf8')).toBe('');
  });

  it('refuses a package that has changed meanwhile', async () => {
    const { entry, digest } = await inventory();
    const resolved: ResolvedPackage = {
      ...{ name: 'tool', version: entry.version, architecture: 'amd64', source: entry.source, relations: {} },
      ...{ urls: [installedUrl(root)], size: 0, sha256: digest, essential: false, base: false },
    };
    await put('usr/lib/tool/data', 'new');
    const target = hostPath(await mkdtemp(join(scratch, 'packed-')));
    await expect(repackInstalled([resolved], target)).rejects.toMatchObject({ code: 'host-package-changed' });
  });
});

describe('installedUrl', () => {
  it('keeps any path', () => {
    for (const path of ['/', '/a b/ü%', '/x?y#z']) {
      expect(installedRoot({ urls: [installedUrl(hostPath(path))] })).toBe(path);
    }
    expect(installedRoot({ urls: ['http://mirror.example/a.deb'] })).toBeUndefined();
  });
});
