import { describe, expect, it } from 'vitest';
import type { PackageRecord } from '../../../../src/steps/apt/database.ts';
import {
  databaseName,
  fileList,
  parseConffiles,
  triggerInterests,
  unpackedStatus,
} from '../../../../src/steps/apt/database.ts';

const record: PackageRecord = {
  entry: { name: 'x', architecture: 'amd64' },
  members: [{ path: '' }, { path: 'etc' }, { path: 'etc/x' }],
  control: 'Package: x\nVersion: 1\nDescription: short\n long\n',
  conffiles: '/etc/x\n',
  triggers: '',
};
const same = { name: 'lib', architecture: 'amd64', multiArch: 'same' } as const;

describe("dpkg's database of unpacked packages", () => {
  it('names packages that may be there for several architectures by both', () => {
    expect(databaseName(record.entry)).toBe('x');
    expect(databaseName(same)).toBe('lib:amd64');
  });

  it('lists files as dpkg does', () => {
    expect(fileList(record)).toBe('/.\n/etc\n/etc/x\n');
  });

  it('says that packages are unpacked, with their new configuration files', () => {
    const plain = { ...record, conffiles: '', control: 'Package: y' };
    expect(unpackedStatus([record, plain])).toBe(
      [
        'Package: x\nVersion: 1\nDescription: short\n long\nStatus: install ok unpacked',
        'Conffiles:\n /etc/x newconffile\n\nPackage: y\nStatus: install ok unpacked\n\n',
      ].join('\n'),
    );
  });

  it('knows configuration files that a package does not have any more', () => {
    expect(parseConffiles('/etc/a \n\nremove-on-upgrade /etc/b c\n')).toEqual([
      { path: 'etc/a', isRemoved: false },
      { path: 'etc/b c', isRemoved: true },
    ]);
    const conffiles = 'remove-on-upgrade /etc/b\n';
    expect(unpackedStatus([{ ...record, conffiles }])).toContain(' /etc/b newconffile remove-on-upgrade\n');
    expect(parseConffiles('other-flag /etc/a\n')).toBeUndefined();
  });

  it('notes who is interested in which trigger', () => {
    const triggers = [
      '# comment',
      'interest-noawait /usr/share/x',
      'interest ldconfig',
      'activate other',
      'interest-await ../evil/name',
    ];
    const interests = triggerInterests([
      { ...record, triggers: triggers.join('\n') },
      { ...record, entry: same, triggers: 'interest-await ldconfig # twice\n' },
    ]);
    expect([...interests]).toEqual([
      ['File', '/usr/share/x x/noawait\n'],
      ['ldconfig', 'x\nlib:amd64\n'],
    ]);
  });
});
