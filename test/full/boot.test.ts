import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { mkimg } from '../helpers/cli.ts';
import { project } from '../helpers/project.ts';

const minimal = resolve(import.meta.dirname, '../../images/minimal');

/** Mirrors may serve the release files of moving suites past their Valid-Until. */
const expired = '--check-valid-until=no';

const variants: readonly (readonly [string, readonly string[]])[] = [
  ['a cpio archive beside its kernel', ['--format=cpio', '--ram=2G']],
  ['a directory', ['--format=directory']],
  ['a disk without a boot loader', ['--bootloader=uki']],
  ['a disk of bookworm, whose systemd knows no extra units', ['--release=bookworm']],
  ['a disk of forky', ['--release=forky', expired]],
  ['a disk of sid', ['--release=sid', expired]],
];

describe('images/minimal boots as', () => {
  for (const [name, flags] of variants) {
    it(name, async () => {
      await using output = await temporaryDirectory('/var/tmp', 'mkimg-boot-');
      const argv = ['-C', minimal, '--output-directory', output.path, ...flags];
      const built = await mkimg([...argv, 'build']);
      expect(built.code, built.stderr).toBe(0);
      const booted = await mkimg([...argv, 'test']);
      expect(booted.code, booted.stdout + booted.stderr).toBe(0);
    });
  }
});

/** What SysV init needs to be told of the serial console. */
const postinst = `#!/bin/sh
set -e
echo 'T0:2345:respawn:/sbin/getty -L ttyS0 115200 vt100' >>/etc/inittab
`;

const sysvinit = {
  'mkimg.conf': `[Distribution]
Distribution=debian
Release=trixie
[Output]
Format=disk
Output=old
ManifestFormat=json
[Content]
Packages=
    login
    linux-image-cloud-amd64
    mount
    systemd-standalone-sysusers
    systemd-standalone-tmpfiles
    sysvinit-core
    udev
WithDocs=no
Bootloader=none
RootPassword=correct horse
[Runtime]
Firmware=linux
RAM=512M
`,
  'mkimg.postinst.chroot': postinst,
  'mkimg.tests/console.conf': `[Step]
Boot=up
[Step]
Type=root
[Step]
Console=^Password: ?$
[Step]
Type=correct horse
[Step]
Console=\\#
[Step]
Type=cat /proc/1/comm; echo "answer: $((6 * 7))"
[Step]
Console=^init$
[Step]
Console=^answer: 42$
[Step]
Power=cut
`,
  'mkimg.tests/impossible.conf': '[Step]\nBoot=up\n[Step]\nCommand=true\n',
};

describe('a system with another init than systemd', () => {
  it('is tested by its console, and steps that need more are refused before it is started', async () => {
    await using directory = await project(sysvinit);
    const built = await mkimg(['-C', directory.path, 'build']);
    expect(built.code, built.stderr).toBe(0);
    const booted = await mkimg(['-C', directory.path, 'test', 'console']);
    expect(booted.code, booted.stdout + booted.stderr).toBe(0);
    const refused = await mkimg(['-C', directory.path, 'test', 'impossible']);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('Command=true needs a guest with systemd 252 or later');
  });
});

describe('a newcomer', () => {
  it('boots what mkimg init describes', async () => {
    await using directory = await temporaryDirectory('/var/tmp', 'mkimg-boot-');
    for (const verb of ['init', 'build', 'test']) {
      const done = await mkimg(['-C', directory.path, verb]);
      expect(done.code, done.stdout + done.stderr).toBe(0);
    }
  });
});
