import { describe, expect, it } from 'vitest';
import type { PackageRecord } from '../../../../src/steps/apt/database.ts';
import {
  activatedTriggers,
  claimedPaths,
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

  it('tells packages that are set up of files that they want to be told of', () => {
    const interests = '/etc/x other\n/etc told/noawait\n/usr nobody\n';
    const pending = 'ldconfig -\n/etc early\n';
    const twice = [record, { ...record, entry: same, members: [{ path: 'etcetera' }] }];
    expect(activatedTriggers(twice, { interests, pending })).toBe('ldconfig -\n/etc early x\n/etc/x x\n');
    expect(activatedTriggers([], { interests, pending })).toBe(pending);
  });

  it('knows the paths that are diverted or have owners of their own', () => {
    const diversions = '/usr/bin/a\n/usr/bin/a.real\nsome-package\n';
    const claimed = claimedPaths(diversions, 'root mail 2755 /usr/bin/b c\n');
    expect([...claimed].sort()).toEqual(['usr/bin/a', 'usr/bin/a.real', 'usr/bin/b c']);
    expect(claimedPaths('', '')).toEqual(new Set());
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
