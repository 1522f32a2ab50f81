import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPath } from '../../../../src/base/brand.ts';
import { hostPath } from '../../../../src/base/brand.ts';
import { libraryPackages } from '../../../../src/distro/tables/debian-libraries.ts';
import { dlopenAction } from '../../../../src/steps/dlopen/policy.ts';
import { packagesOfLibraries } from '../../../../src/steps/dlopen/packages.ts';
import { unresolvedInTree } from '../../../../src/steps/dlopen/tree.ts';
import type { SampleElf } from '../../formats/elf-sample.ts';
import { dlopenNote, sampleElf } from '../../formats/elf-sample.ts';

let root: HostPath;
beforeEach(async () => {
  root = hostPath(await mkdtemp(join(tmpdir(), 'mkimg-dlopen-')));
  await put(
    'usr/bin/asker',
    sampleElf({ notes: [dlopenNote(['liba.so.1', 'liba.so.0'], { feature: 'a' })] }),
  );
});
afterEach(() => rm(root, { recursive: true }));

async function put(path: string, content: Buffer | string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), content);
  await chmod(join(root, path), 0o755);
}

async function missing(): Promise<readonly string[]> {
  const notes = await unresolvedInTree(root, new AbortController().signal);
  return notes.map(({ sonames, by }) => `${sonames.join('|')} for ${by.join(',')}`);
}

const asker = ['liba.so.1|liba.so.0 for usr/bin/asker'];
const library = (more: SampleElf = {}): Buffer => sampleElf({ soname: 'liba.so.1', ...more });

describe('unresolvedInTree', () => {
  it('names libraries that are nowhere, with who asks', async () => {
    await put(
      'usr/sbin/another',
      sampleElf({ notes: [dlopenNote(['liba.so.1', 'liba.so.0'], { feature: 'a' })] }),
    );
    await put('usr/bin/script', '#!/bin/sh\n');
    await put('usr/bin/damaged', sampleElf({}).subarray(0, 60));
    expect(await missing()).toEqual(['liba.so.1|liba.so.0 for usr/bin/asker,usr/sbin/another']);
  });

  it.each(['usr/lib/liba.so.0', 'lib/liba.so.1', 'usr/lib/x86_64-linux-gnu/liba.so.1', 'lib64/liba.so.1'])(
    'finds %s',
    async (path) => {
      await put(path, library());
      expect(await missing()).toEqual([]);
    },
  );

  it('follows links, and none that leads nowhere or around', async () => {
    await put('usr/lib/x86_64-linux-gnu/liba.so.1.2.3', library());
    await symlink('usr/lib', join(root, 'lib'));
    await symlink('/lib/x86_64-linux-gnu/liba.so.1.2.3', join(root, 'usr/lib/liba.so.1'));
    expect(await missing()).toEqual([]);
    await rm(join(root, 'usr/lib/x86_64-linux-gnu/liba.so.1.2.3'));
    expect(await missing()).toEqual(asker);
    await rm(join(root, 'usr/lib/liba.so.1'));
    await symlink('liba.so.1', join(root, 'usr/lib/liba.so.1'));
    expect(await missing()).toEqual(asker);
  });

  it('takes no library of another machine, and no file that is none', async () => {
    await put('usr/lib/liba.so.1', library({ bits: 32, machine: 3 }));
    expect(await missing()).toEqual(asker);
    await put('usr/lib/liba.so.1', 'text');
    expect(await missing()).toEqual(asker);
  });

  it('looks where the loader is told to look, and where the program says', async () => {
    await put('opt/a/liba.so.1', library());
    expect(await missing()).toEqual(asker);
    await put('etc/ld.so.conf.d/a.conf', '# ours\n/opt/a\n');
    expect(await missing()).toEqual([]);
    await rm(join(root, 'etc'), { recursive: true });
    const notes = [dlopenNote(['liba.so.1'])];
    await put('usr/bin/asker', sampleElf({ notes, runpath: '$ORIGIN/../../opt/a' }));
    expect(await missing()).toEqual([]);
  });
});

describe('dlopenAction', () => {
  const note = {
    feature: 'tpm',
    description: '',
    priority: 'suggested',
    sonames: ['liba.so.1', 'liba.so.0'],
  } as const;

  it('follows the most special word', () => {
    expect(dlopenAction(note, {})).toBe('ignore');
    expect(dlopenAction({ ...note, priority: 'required' }, {})).toBe('require');
    expect(dlopenAction({ ...note, priority: 'recommended' }, {})).toBe('warn');
    expect(dlopenAction(note, { suggested: 'warn' })).toBe('warn');
    expect(dlopenAction(note, { suggested: 'warn', tpm: 'add' })).toBe('add');
    expect(dlopenAction(note, { tpm: 'add', 'liba.so.0': 'require' })).toBe('require');
    expect(dlopenAction({ ...note, feature: '' }, { '': 'add' })).toBe('ignore');
    expect(dlopenAction({ ...note, feature: 'constructor' }, {})).toBe('ignore');
  });
});

describe('packages of libraries', () => {
  it('are those of a table, else named by policy', () => {
    expect(libraryPackages('libtss2-esys.so.0')[0]).toBe('libtss2-esys-3.0.2-0t64');
    expect(libraryPackages('libfoo.so.3')).toEqual(['libfoo3t64', 'libfoo3']);
    expect(libraryPackages('libFoo_2.so.3')).toEqual(['libfoo-2-3t64', 'libfoo-2-3']);
    expect(libraryPackages('plugin.so')).toEqual([]);
  });

  it('are those that have them on a running system', async () => {
    await put('var/lib/dpkg/info/liba9:amd64.list', '/.\n/usr/lib/x86_64-linux-gnu/liba.so.1\n');
    await put('var/lib/dpkg/info/other.list', '/usr/share/liba.so.1\n/usr/lib/other/liba.so.1\n');
    const found = await packagesOfLibraries(['liba.so.1', 'libb.so.1'], root);
    expect(found.get('liba.so.1')).toEqual(['liba9']);
    expect(found.get('libb.so.1')).toEqual(['libb1t64', 'libb1']);
  });
});
