import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../../src/base/brand.ts';
import { temporaryDirectory } from '../../../../src/base/temporary.ts';
import { collectBootFiles } from '../../../../src/steps/disk/boot-files.ts';
import type { BootFile } from '../../../../src/steps/disk/esp.ts';
import { espContent, treeBootFiles, ukiBootFiles } from '../../../../src/steps/disk/esp.ts';
import { copyGroups } from '../../../../src/steps/disk/in-place.ts';
import { writeFiles } from '../../../helpers/project.ts';

function file(target: string, place: BootFile['place'] = 'efi'): BootFile {
  return { place, target, source: hostPath(`/${place}/${target}`), bytes: 1 };
}

describe('espContent', () => {
  it('joins both directories, parents first, sorted by bytes', () => {
    const files = [
      file('config', 'boot'),
      file('EFI/Linux/a.efi', 'boot'),
      file('loader/loader.conf'),
      file('EFI/BOOT/BOOTX64.EFI'),
    ];
    const content = espContent(files);
    expect(content.directories).toEqual(['EFI', 'EFI/BOOT', 'EFI/Linux', 'loader']);
    expect(content.files.map(({ target }) => target)).toEqual([
      'EFI/BOOT/BOOTX64.EFI',
      'EFI/Linux/a.efi',
      'config',
      'loader/loader.conf',
    ]);
  });

  it('knows that FAT does not tell upper from lower case', () => {
    const content = espContent([file('efi/debian/grub.cfg', 'boot'), file('EFI/BOOT/x'), file('EFI/boot/X')]);
    expect(content.directories).toEqual(['efi', 'efi/BOOT', 'efi/debian']);
    expect(content.files.map(({ target, source }) => [target, source])).toEqual([
      ['efi/BOOT/X', '/efi/EFI/boot/X'],
      ['efi/debian/grub.cfg', '/boot/efi/debian/grub.cfg'],
    ]);
  });

  it('refuses names that FAT cannot hold', () => {
    for (const name of ['a:b', 'a?', 'dir./x', 'x ', 'a\\b', 'a\nb', '\ufffd', 'x'.repeat(256)]) {
      expect(() => espContent([file(name)])).toThrow(`Cannot copy /efi/${name}`);
    }
    expect(() => espContent([file('a/b'), file('A')])).toThrow('a directory of the same name');
  });
});

describe('copyGroups', () => {
  it('copies files that keep their names at once, in order', () => {
    const files = [file('a/one'), file('a/two'), file('b/new'), file('top'), file('b/three')];
    const groups = copyGroups(files, ({ target }) => (target === 'b/new' ? '/old' : `/src/${target}`));
    expect(groups).toEqual([
      { sources: ['/src/a/one', '/src/a/two'], target: 'a/' },
      { sources: ['/old'], target: 'b/new' },
      { sources: ['/src/top'], target: '' },
      { sources: ['/src/b/three'], target: 'b/' },
    ]);
  });

  it('loses and reorders nothing', () => {
    const names = fc.uniqueArray(fc.stringMatching(/^[ab]\/[a-z]{1,3}$/));
    fc.assert(
      fc.property(names, (targets) => {
        const groups = copyGroups(
          targets.map((target) => file(target)),
          ({ target }) => `/s/${target}`,
        );
        expect(groups.flatMap(({ sources }) => sources)).toEqual(targets.map((target) => `/s/${target}`));
      }),
    );
  });
});

describe('boot files of a tree', () => {
  it('takes files only, and never leaves the tree', async () => {
    await using directory = await temporaryDirectory('/tmp', 'mkimg-esp-');
    const root = hostPath(join(directory.path, 'root'));
    await writeFiles(root, { 'efi/EFI/x.efi': 'x', 'efi/a': 'a', 'outside/y': 'y' });
    await symlink('/etc/passwd', join(root, 'efi/link'));
    await symlink('../outside', join(root, 'efi/directory'));
    await symlink('/etc', join(root, 'boot'));
    await mkdir(join(root, 'etc'));
    expect((await treeBootFiles(root, 'efi')).map(({ target }) => target)).toEqual(['EFI/x.efi', 'a']);
    // The image's own /etc, not the machine's.
    expect(await treeBootFiles(root, 'boot')).toEqual([]);
  });

  it('names unified kernel images after the entry token, or puts the newest where firmware looks', async () => {
    await using directory = await temporaryDirectory('/tmp', 'mkimg-esp-');
    const names = ['6.12.9.efi', '6.12.10.efi', '6.9.efi'];
    for (const name of names) await writeFile(join(directory.path, name), 'x');
    const ukis = { directory: directory.path, names, meta: null };
    const loaded = await ukiBootFiles(ukis, { token: 'debian', efi: 'x64', bootLoader: true });
    expect(loaded.map(({ place, target }) => `${place}/${target}`)).toEqual([
      'boot/EFI/Linux/debian-6.12.9.efi',
      'boot/EFI/Linux/debian-6.12.10.efi',
      'boot/EFI/Linux/debian-6.9.efi',
    ]);
    const [only, ...rest] = await ukiBootFiles(ukis, { token: 'debian', efi: 'x64', bootLoader: false });
    expect(rest).toEqual([]);
    expect(only).toMatchObject({ target: 'EFI/BOOT/BOOTX64.EFI', source: `${directory.path}/6.12.10.efi` });
  });

  it('misses the boot loader', async () => {
    await using directory = await temporaryDirectory('/tmp', 'mkimg-esp-');
    const root = hostPath(join(directory.path, 'root'));
    await writeFiles(root, { 'usr/lib/os-release': 'ID=debian\n' });
    await writeFile(join(directory.path, '6.1.efi'), 'x');
    const ukis = { directory: directory.path, names: ['6.1.efi'], meta: null };
    const request = { root, ukis, architecture: 'x86-64', bootLoader: true } as const;
    await expect(collectBootFiles(request)).rejects.toMatchObject({ code: 'boot-loader-missing' });
    expect(await collectBootFiles({ ...request, bootLoader: false })).toHaveLength(1);
    await expect(collectBootFiles({ ...request, architecture: 's390x' })).rejects.toMatchObject({
      code: 'no-uefi',
    });
  });
});
