import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import { ukifyArgv } from '../../../src/steps/build-uki.ts';
import { entryToken, osReleaseValue } from '../../../src/steps/entry-token.ts';
import { systemdBoots } from '../../../src/steps/install-boot-loader.ts';
import { clampArgv, crosses } from '../../../src/steps/pack-directory.ts';
import { tarArgv } from '../../../src/steps/pack-tar.ts';
import { writeFiles } from '../../helpers/project.ts';

describe('ukifyArgv', () => {
  it('names every part, and no configuration of the tools', () => {
    const argv = ukifyArgv({
      linux: '/buildroot/usr/lib/modules/6.1/vmlinuz',
      initrd: '/initrds/6.1.initrd',
      commandLineFile: '/work/cmdline',
      osReleaseFile: '/work/os-release',
      version: '6.1',
      stub: '/buildroot/usr/lib/systemd/boot/efi/linuxx64.efi.stub',
      efi: 'x64',
      output: '/out/6.1.efi',
    });
    expect(argv).toEqual([
      'build',
      '--config=/dev/null',
      '--linux=/buildroot/usr/lib/modules/6.1/vmlinuz',
      '--initrd=/initrds/6.1.initrd',
      '--cmdline=@/work/cmdline',
      '--os-release=@/work/os-release',
      '--uname=6.1',
      '--stub=/buildroot/usr/lib/systemd/boot/efi/linuxx64.efi.stub',
      '--efi-arch=x64',
      '--output=/out/6.1.efi',
    ]);
  });
});

describe('tarArgv', () => {
  const common = [
    ['--sort=name', '--format=posix', '--numeric-owner'],
    ['--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime,delete=mtime'],
    ['--mtime=@1700000000', '--clamp-mtime'],
    ['--acls', '--selinux', '--xattrs', '--xattrs-include=*', '--warning=no-file-ignored', '.'],
  ].flat();
  const request = { tree: '/buildroot', archive: '/work/archive', epoch: 1700000000 };

  it('writes the same bytes at any time', () => {
    expect(tarArgv({ ...request, compression: { algorithm: 'none' } })).toEqual([
      '--create',
      '--file=/work/archive',
      '--directory=/buildroot',
      ...common,
    ]);
  });

  it('compresses through a pipe', () => {
    const program = (algorithm: 'zstd' | 'xz' | 'gz', level: number) =>
      tarArgv({ ...request, compression: { algorithm, level } })[3];
    expect(program('zstd', 3)).toBe('--use-compress-program=zstd -q -T0 -3');
    expect(program('zstd', 20)).toBe('--use-compress-program=zstd -q -T0 --ultra -20');
    expect(program('xz', 6)).toBe('--use-compress-program=xz -q -T0 --check=crc32 -6');
    expect(program('gz', 9)).toBe('--use-compress-program=gzip -q -n -9');
  });
});

describe('crosses', () => {
  it('finds files with names on both sides', () => {
    expect(crosses(['1 usr/share/a', '2 usr/b', '1 usr/share/c', ''], 'usr/share/')).toBe(false);
    expect(crosses(['1 usr/share/a', '1 usr/b b'], 'usr/share/')).toBe(true);
    expect(crosses(['1 usr/share/a', '1 usr/shared'], 'usr/share/')).toBe(true);
    expect(crosses([''], 'usr/share/')).toBe(false);
  });
});

describe('clampArgv', () => {
  it('sets only what is newer', () => {
    expect(clampArgv('/copy', 17).join(' ')).toBe(
      '/copy -newermt @17 -exec touch --no-dereference --date=@17 {} +',
    );
  });
});

describe('systemdBoots', () => {
  it('installs every architecture, signed where there is a signature', () => {
    const names = ['addonx64.efi.stub', 'linuxx64.efi.stub', 'systemd-bootaa64.efi', 'systemd-bootx64.efi'];
    expect(systemdBoots([...names, 'systemd-bootx64.efi.signed'])).toEqual([
      {
        efi: 'aa64',
        source: 'systemd-bootaa64.efi',
        targets: ['efi/EFI/systemd/systemd-bootaa64.efi', 'efi/EFI/BOOT/BOOTAA64.EFI'],
      },
      {
        efi: 'x64',
        source: 'systemd-bootx64.efi.signed',
        targets: ['efi/EFI/systemd/systemd-bootx64.efi', 'efi/EFI/BOOT/BOOTX64.EFI'],
      },
    ]);
    expect(systemdBoots(['linuxx64.efi.stub'])).toEqual([]);
  });
});

describe('entryToken', () => {
  async function token(files: Readonly<Record<string, string>>): Promise<string> {
    await using directory = await temporaryDirectory('/tmp', 'mkimg-token-');
    await writeFiles(hostPath(directory.path), files);
    return await entryToken(directory.path);
  }

  it('follows kernel-install', async () => {
    const release = 'ID=debian\nIMAGE_ID="my-image"\n';
    expect(await token({ 'etc/kernel/entry-token': 'mine\n', 'etc/os-release': release })).toBe('mine');
    expect(await token({ 'etc/os-release': release })).toBe('my-image');
    expect(await token({ 'usr/lib/os-release': "ID='debian'\n" })).toBe('debian');
    expect(await token({})).toBe('linux');
  });

  it('takes no token that is more than a part of a name', async () => {
    expect(await token({ 'etc/kernel/entry-token': '../x\n', 'etc/os-release': 'ID=a/b\n' })).toBe('linux');
    expect(await token({ 'etc/kernel/entry-token': '.hidden', 'etc/os-release': 'ID=ok\n' })).toBe('ok');
  });
});

describe('osReleaseValue', () => {
  it('takes the last assignment and undoes quoting', () => {
    expect(osReleaseValue('A=1\nA="x \\"y\\" \\$z"\nAB=2\n', 'A')).toBe('x "y" $z');
    expect(osReleaseValue('#A=1\n', 'A')).toBeUndefined();
  });
});
