import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { availableMemory } from '../../../../src/steps/disk/memory.ts';
import {
  builtInDefinitions,
  parseRepartOutput,
  repartArgv,
  repartEnvironment,
} from '../../../../src/steps/disk/repart.ts';
import { seededUuid } from '../../../../src/steps/disk/seed.ts';
import { espPartitionBytes, rootPartitionBytes } from '../../../../src/steps/disk/size.ts';
import { blocksOf } from '../../../../src/steps/disk/usage.ts';

const mebibyte = 1024 * 1024;
const seed = '11111111-2222-3333-4444-555555555556';

describe('seededUuid', () => {
  it('is fixed by seed and name, and a UUID of version 4', () => {
    const uuid = seededUuid(seed, 'root file system');
    expect(uuid).toBe('160d0171-abef-42cc-93ff-468ebd4a3f77');
    expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(seededUuid(seed, 'ext4 hash seed')).not.toBe(uuid);
    expect(seededUuid(seed.replace('1', '2'), 'root file system')).not.toBe(uuid);
  });
});

describe('rootPartitionBytes', () => {
  it('adds room to work, inode tables, journal and structures', () => {
    // (300 MiB * 1.25 + 128 MiB) * (1 + 1/64 + 0.02) + 16 MiB = 536.9 MiB, in steps of 4 MiB.
    expect(rootPartitionBytes({ blocks: (300 * mebibyte) / 4096, inodes: 12000 })).toBe(540 * mebibyte);
    expect(rootPartitionBytes({ blocks: 1, inodes: 1 })).toBe(152 * mebibyte);
  });

  it('has inodes for trees of many small files', () => {
    const bytes = rootPartitionBytes({ blocks: 100_000, inodes: 500_000 });
    expect(bytes / 16384).toBeGreaterThan(500_000 * 1.25);
  });

  it('always holds contents, inode tables and the journal that mke2fs makes for its size', () => {
    const usage = fc.record({
      blocks: fc.integer({ min: 1, max: 1e9 }),
      inodes: fc.integer({ min: 1, max: 1e7 }),
    });
    fc.assert(
      fc.property(usage, ({ blocks, inodes }) => {
        const bytes = rootPartitionBytes({ blocks, inodes });
        const tables = (bytes / 16384) * 256;
        const contents = blocks * 4096;
        expect(bytes % (4 * mebibyte)).toBe(0);
        expect(bytes - tables - journal(bytes / 4096) - contents * 1.01).toBeGreaterThan(100 * mebibyte);
      }),
    );
  });
});

/** Blocks of the journal by size of the file system: e2fsprogs 1.47, lib/ext2fs/mkjournal.c; here in bytes. */
function journal(blocks: number): number {
  const table = [
    [32768, 1024],
    [262144, 4096],
    [524288, 8192],
    [4194304, 16384],
    [8388608, 32768],
    [16777216, 65536],
  ] as const;
  return (table.find(([limit]) => blocks < limit)?.[1] ?? 262144) * 4096;
}

describe('espPartitionBytes', () => {
  it('has 512 MiB, or what the files need', () => {
    expect(espPartitionBytes([])).toBe(512 * mebibyte);
    expect(espPartitionBytes([140 * mebibyte, 140 * mebibyte])).toBe(512 * mebibyte);
    expect(espPartitionBytes([400 * mebibyte, 400 * mebibyte])).toBe(1064 * mebibyte);
  });
});

describe('blocksOf', () => {
  const regular = 0o100644;
  it('rounds files up and keeps short links in the inode', () => {
    expect(blocksOf({ mode: regular, size: 1, blocks: 8 })).toBe(1);
    expect(blocksOf({ mode: regular, size: 4097, blocks: 16 })).toBe(2);
    expect(blocksOf({ mode: 0o040755, size: 4096, blocks: 8 })).toBe(1);
    expect(blocksOf({ mode: 0o040755, size: 60, blocks: 0 })).toBe(1);
    expect(blocksOf({ mode: 0o120777, size: 59, blocks: 0 })).toBe(0);
    expect(blocksOf({ mode: 0o120777, size: 60, blocks: 8 })).toBe(1);
    expect(blocksOf({ mode: 0o020666, size: 0, blocks: 0 })).toBe(0);
  });

  it('counts compressed files in full, and holes not', () => {
    const size = 80 * mebibyte;
    expect(blocksOf({ mode: regular, size, blocks: (20 * mebibyte) / 512 })).toBe(size / 4096);
    expect(blocksOf({ mode: regular, size: 1024 ** 4, blocks: 8 })).toBeLessThan(300);
  });
});

describe('builtInDefinitions', () => {
  it('has an ESP and a root partition of these sizes, without content', () => {
    const boot = [{ type: 'esp', bytes: 536870912 }];
    expect(builtInDefinitions({ boot, rootBytes: 1073741824 })).toEqual([
      {
        name: '00-boot.conf',
        text: '[Partition]\nType=esp\nSizeMinBytes=536870912\nSizeMaxBytes=536870912\n',
      },
      {
        name: '10-root.conf',
        text: '[Partition]\nType=root\nSizeMinBytes=1073741824\nSizeMaxBytes=1073741824\nGrowFileSystem=yes\n',
      },
    ]);
  });

  it('has no ESP for images that do not boot', () => {
    expect(builtInDefinitions({ boot: [], rootBytes: 1 }).map(({ name }) => name)).toEqual(['10-root.conf']);
  });
});

describe('repartArgv', () => {
  it('always gives architecture and sector size', () => {
    const request = {
      definitions: ['/definitions/0', '/definitions/1'],
      root: '/buildroot',
      image: '/work/disk.raw',
      seed,
      architecture: 'arm64',
      sectorSize: 4096,
    } as const;
    expect(repartArgv(request)).toEqual([
      '--empty=create',
      '--size=auto',
      '--dry-run=no',
      '--offline=yes',
      '--json=pretty',
      '--no-pager',
      '--root=/buildroot',
      '--seed=11111111-2222-3333-4444-555555555556',
      '--architecture=arm64',
      '--sector-size=4096',
      '--definitions=/definitions/0',
      '--definitions=/definitions/1',
      '/work/disk.raw',
    ]);
  });

  it('makes file systems reproducible by its environment', () => {
    expect(repartEnvironment('abc', 1700000000)).toEqual({
      SOURCE_DATE_EPOCH: '1700000000',
      TZ: 'UTC',
      TMPDIR: '/var/tmp',
      SYSTEMD_REPART_MKFS_OPTIONS_EXT4: '-E nodiscard,lazy_itable_init=1,hash_seed=abc',
    });
  });
});

describe('parseRepartOutput', () => {
  const entry = {
    type: 'root-x86-64',
    label: 'root-x86-64',
    uuid: '611a11de-83f1-4833-952d-dfbeb5532ce8',
    partno: 1,
    file: '/definitions/0/10-root.conf',
    node: '/work/disk.raw2',
    offset: 537919488,
    old_size: 0,
    raw_size: 734003200,
    old_padding: 0,
    raw_padding: 0,
    activity: 'create',
  };

  it('takes what matters, in the order of the disk', () => {
    const esp = { ...entry, type: 'esp', label: 'esp', offset: 1048576, raw_size: 4096, roothash: 'ab' };
    expect(parseRepartOutput(JSON.stringify([entry, esp]))).toEqual([
      { type: 'esp', label: 'esp', uuid: entry.uuid, offset: 1048576, size: 4096, roothash: 'ab' },
      { type: 'root-x86-64', label: 'root-x86-64', uuid: entry.uuid, offset: 537919488, size: 734003200 },
    ]);
  });

  it('refuses other forms', () => {
    for (const text of ['{}', '[1]', '[null]', JSON.stringify([{ ...entry, offset: '1' }]), '[{}]']) {
      expect(() => parseRepartOutput(text)).toThrow('internal: systemd-repart');
    }
  });
});

describe('availableMemory', () => {
  it('reads /proc/meminfo', () => {
    expect(availableMemory('MemTotal:       24683520 kB\nMemAvailable:     1024 kB\n')).toBe(mebibyte);
    expect(availableMemory('MemTotal:       24683520 kB\n')).toBe(0);
  });
});
