import { describe, expect, it } from 'vitest';
import {
  accessTimeScript,
  fatEnvironment,
  mcopyArgv,
  mke2fsArgv,
  mkfsFatArgv,
  mmdArgv,
} from '../../../../src/steps/disk/file-systems.ts';

const uuid = '160d0171-abef-42cc-93ff-468ebd4a3f77';

describe('mke2fsArgv', () => {
  it('fills a file with a tree, as repeatably as can be', () => {
    const request = {
      image: '/work/root.ext4',
      tree: '/buildroot',
      size: 734003200,
      label: 'root-loongarch64',
      uuid,
      hashSeed: 'feed',
    };
    expect(mke2fsArgv(request)).toEqual(
      [
        ['-q', '-F', '-t', 'ext4', '-T', 'default', '-I', '256', '-m', '0', '-b', '4096'],
        ['-L', 'root-loongarch64', '-U', uuid],
        ['-E', 'nodiscard,assume_storage_prezeroed=1,hash_seed=feed'],
        ['-d', '/buildroot', '/work/root.ext4', '179200'],
      ].flat(),
    );
    expect(mke2fsArgv({ ...request, label: 'a label that is too long' })).toContain('a label that is ');
  });
});

describe('accessTimeScript', () => {
  it('quotes names for debugfs and leaves out what it cannot say', () => {
    const paths = [Buffer.from('usr/ü "x"'), Buffer.from('two\nlines'), Buffer.from([0x61, 0xff])];
    expect(accessTimeScript(paths, 17)).toEqual(
      Buffer.concat([
        Buffer.from('set_inode_field "/usr/ü ""x""" atime @17\nset_inode_field "/a'),
        Buffer.from([0xff]),
        Buffer.from('" atime @17\n'),
      ]),
    );
  });
});

describe('FAT', () => {
  it('is made in place, with offsets in sectors and the length in KiB', () => {
    const request = { image: '/work/disk.raw', offset: 1048576, size: 536870912, label: 'ESP', uuid };
    expect(mkfsFatArgv({ ...request, sectorSize: 512 })).toEqual([
      '-F',
      '32',
      '-S',
      '512',
      '-n',
      'ESP',
      '-i',
      '160d0171',
      '--offset',
      '2048',
      '/work/disk.raw',
      '524288',
    ]);
    expect(mkfsFatArgv({ ...request, sectorSize: 4096 })).toContain('256');
  });

  it('is filled by mtools', () => {
    expect(mmdArgv('/work/disk.raw', 1048576, ['EFI', 'EFI/BOOT'])).toEqual([
      '-i',
      '/work/disk.raw@@1048576',
      '::/EFI',
      '::/EFI/BOOT',
    ]);
    expect(mcopyArgv('/d', 5, { sources: ['/a', '/b'], target: 'EFI/' })).toEqual([
      '-i',
      '/d@@5',
      '/a',
      '/b',
      '::/EFI/',
    ]);
  });

  it('knows no time before 1980', () => {
    expect(fatEnvironment(0)).toMatchObject({ SOURCE_DATE_EPOCH: '315532800', TZ: 'UTC' });
    expect(fatEnvironment(1700000000)).toMatchObject({ SOURCE_DATE_EPOCH: '1700000000' });
  });
});
