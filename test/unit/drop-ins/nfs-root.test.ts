import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const generator = resolve(
  import.meta.dirname,
  '../../../drop-ins/initrd/nfs/mkimg.extra/usr/lib/systemd/system-generators/mkimg-nfs-root',
);

/** What, Type and Options of sysroot.mount for a kernel command line; undefined when the generator makes none. */
function mountOf(commandLine: string, isInitrd = true): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'nfs-root-'));
  try {
    execFileSync('/bin/sh', [generator, directory, directory, directory], {
      env: { ...process.env, SYSTEMD_IN_INITRD: isInitrd ? '1' : '0', SYSTEMD_PROC_CMDLINE: commandLine },
    });
    const unit = join(directory, 'sysroot.mount');
    if (!existsSync(unit)) return undefined;
    expect(readlinkSync(join(directory, 'initrd-root-fs.target.requires/sysroot.mount'))).toBe(
      '../sysroot.mount',
    );
    const value = (key: string, text: string): string =>
      new RegExp(`^${key}=(.*)$`, 'm').exec(text)?.[1] ?? '';
    const text = readFileSync(unit, 'utf8');
    return ['What', 'Type', 'Options'].map((key) => value(key, text)).join(' ');
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe('the generator of the profile nfs', () => {
  it.each([
    ['root=10.0.9.1:/ rootfstype=nfs4 rw', '10.0.9.1:/ nfs4 rw,nolock'],
    ['root=host:/srv/root', 'host:/srv/root nfs ro,nolock'],
    ['root=host:/x rootflags=vers=3,lock rw', 'host:/x nfs rw,vers=3,lock'],
    ['root=nfs:[fe80::1]:/srv/x,soft', '[fe80::1]:/srv/x nfs ro,nolock,soft'],
    ['root=nfs4:host:/srv/x:soft,timeo=5', 'host:/srv/x nfs4 ro,nolock,soft,timeo=5'],
    ['root=/dev/nfs nfsroot=1.2.3.4:/tftp/%h,vers=3', '1.2.3.4:/tftp/%%h nfs ro,nolock,vers=3'],
  ])('mounts %s', (commandLine, mount) => {
    expect(mountOf(commandLine)).toBe(mount);
  });

  it.each([
    '',
    'root=/dev/sda',
    'root=UUID=a:/b',
    'root=/dev/nfs',
    'root=live:http://host/x',
    'root=gpt-auto',
  ])('leaves %j to others', (commandLine) => {
    expect(mountOf(commandLine)).toBeUndefined();
  });

  it('does nothing once the root is there', () => {
    expect(mountOf('root=host:/srv/root', false)).toBeUndefined();
  });
});
