import { describe, expect, it } from 'vitest';
import { parseHostPackages } from '../../../src/distro/host-packages.ts';

const status = `Package: udev
Status: install ok installed
Priority: optional
Installed-Size: 10
Architecture: amd64
Multi-Arch: foreign
Source: systemd (257)
Version: 257.9-1
Depends: libc6
Conffiles:
 /etc/udev/udev.conf bf60be80a4cc51271a1618edf5a6d66f
 /etc/udev/old file.conf 11111111111111111111111111111111 obsolete
 /etc/udev/gone.conf 22222222222222222222222222222222 obsolete remove-on-upgrade
Description: events
 .
 of the kernel
Homepage: https://systemd.example

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: torn
Status: deinstall reinstreq half-installed
Architecture: all
Version: 1
`;

describe('parseHostPackages', () => {
  it('reads what is installed, with the control file as the package had it', () => {
    const [udev, ...others] = parseHostPackages([status]);
    expect(others).toEqual([]);
    expect(udev).toMatchObject({
      ...{
        name: 'udev',
        version: '257.9-1',
        architecture: 'amd64',
        multiArch: 'foreign',
        state: 'installed',
      },
      source: { name: 'systemd', version: '257' },
      relations: { depends: 'libc6' },
      installedSize: 10_240,
    });
    expect(udev?.conffiles.map(({ path, isObsolete, isRemoved }) => [path, isObsolete, isRemoved])).toEqual([
      ['etc/udev/udev.conf', false, false],
      ['etc/udev/old file.conf', true, false],
      ['etc/udev/gone.conf', true, true],
    ]);
    expect(udev?.control).toBe(`Package: udev
Priority: optional
Installed-Size: 10
Architecture: amd64
Multi-Arch: foreign
Source: systemd (257)
Version: 257.9-1
Depends: libc6
Description: events
 .
 of the kernel
Homepage: https://systemd.example
`);
  });

  it('lets what a running dpkg has noted win', () => {
    const entry = (state: string, version: string) =>
      `Package: udev\nStatus: install ok ${state}\nArchitecture: amd64\nVersion: ${version}\n`;
    const read = (...updates: string[]) =>
      parseHostPackages([status, ...updates]).map(({ version, state }) => [version, state]);
    expect(read(entry('unpacked', '258-1'))).toEqual([['258-1', 'unpacked']]);
    expect(read(entry('unpacked', '258-1'), entry('half-installed', '258-1'))).toEqual([]);
  });
});
