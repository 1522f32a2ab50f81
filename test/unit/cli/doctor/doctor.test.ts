import { describe, expect, it } from 'vitest';
import { reportText } from '../../../../src/cli/doctor.ts';
import { broken, good, lacking } from '../../../../src/cli/doctor/check.ts';
import { kvmFix } from '../../../../src/cli/doctor/machines.ts';
import { versionIn } from '../../../../src/cli/doctor/output-of.ts';
import { installCommand } from '../../../../src/cli/doctor/packages.ts';
import type { HostFacts } from '../../../../src/config/setting.ts';

function host(distribution: string | undefined, changes: Partial<HostFacts> = {}): HostFacts {
  return { architecture: 'x86-64', distribution, codename: undefined, ...changes };
}

describe('the command that installs packages', () => {
  it.each([
    [host('debian', { codename: 'trixie' }), 'apt install bubblewrap qemu-user-binfmt uidmap'],
    [host('debian', { codename: 'bookworm' }), 'apt install bubblewrap qemu-user-static uidmap'],
    [host('fedora'), 'dnf install bubblewrap qemu-user-static shadow-utils'],
    [host('arch'), 'pacman -S --needed bubblewrap qemu-user-static-binfmt shadow'],
    [
      host('opensuse-tumbleweed', { like: ['opensuse', 'suse'] }),
      'zypper install bubblewrap qemu-linux-user shadow',
    ],
    [
      host('mint', { like: ['ubuntu', 'debian'], codename: 'wilma' }),
      'apt install bubblewrap qemu-user-binfmt uidmap',
    ],
    [host(undefined), 'apt install bubblewrap qemu-user-binfmt uidmap'],
  ])('%j: %s', (facts, command) => {
    expect(installCommand(facts, ['uidmap', 'bubblewrap', 'qemu-user-binfmt'])).toBe(command);
  });
});

describe('what programs say of themselves', () => {
  it.each([
    ['bubblewrap 0.8.0', '0.8.0'],
    ['OpenSSH_9.2p1 Debian-2, OpenSSL 3.0.15', '9.2'],
    ['less 590', '590'],
    ['', 'version unknown'],
  ])('%j is %s', (text, version) => {
    expect(versionIn(text)).toBe(version);
  });
});

describe('the cure for KVM', () => {
  it.each([
    ['no permission to open /dev/kvm (is the user in the group kvm?)', /usermod/],
    ['/dev/kvm does not exist', /modprobe/],
  ])('%s', (reason, fix) => {
    expect(kvmFix(reason)).toMatch(fix);
  });

  it('is not made up where there is none', () => {
    expect(kvmFix('a test guest did not finish within 1 s')).toBeUndefined();
  });
});

describe('the report', () => {
  it('says what to do, and last whether images can be built', () => {
    const findings = [good('node', 'Node 20'), lacking('kvm', 'slow\u001b[2J', 'modprobe kvm_intel')];
    expect(reportText(findings).split('\n')).toEqual([
      'ok       node  Node 20',
      'lacking  kvm   slow\\x1b[2J',
      '               -> modprobe kvm_intel',
      '',
      'Images can be built here.',
    ]);
    expect(reportText([...findings, broken('tool:xz', 'gone')])).toMatch(
      /\nNo image can be built here: tool:xz\.$/,
    );
  });
});
