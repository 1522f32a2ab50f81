import { chmod, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPath } from '../../../src/base/brand.ts';
import { hostPath } from '../../../src/base/brand.ts';
import { toolRow, toolTable } from '../../../src/sandbox/tool-table.ts';
import { isAtLeast, missingToolsError, parseVersion, probeTools } from '../../../src/sandbox/tools.ts';

describe('isAtLeast', () => {
  it('compares number by number', () => {
    for (const [version, minimum] of [
      ['257.13', '254'],
      ['10', '9.9'],
      ['2.38.1', '2.38'],
      ['1.0', '1.0.0'],
      ['9.2p1', '9.2'],
    ] as const) {
      expect(isAtLeast(version, minimum), `${version} >= ${minimum}`).toBe(true);
    }
    for (const [version, minimum] of [
      ['252.38', '254'],
      ['1.9', '1.10'],
      ['1', '1.0.1'],
      ['unknown', '1'],
    ] as const) {
      expect(isAtLeast(version, minimum), `${version} >= ${minimum}`).toBe(false);
    }
  });
});

describe('the table of tools', () => {
  it('reads the versions that the programs of Debian print', () => {
    const printed = {
      'apt-get': ['apt 3.0.3 (amd64)\nSupported modules:', '3.0.3'],
      'systemd-repart': ['systemd 257 (257.13-1~deb13u1)\n+PAM +AUDIT', '257.13'],
      systemctl: ['systemd 258\n+PAM', '258'],
      ukify: ['ukify 257 (257.13-1~deb13u1)', '257.13'],
      zstd: ['*** Zstandard CLI (64-bit) v1.5.7, by Yann Collet ***', '1.5.7'],
      depmod: ['kmod version 30\n+ZSTD', '30'],
      'mkfs.btrfs': ['mkfs.btrfs, part of btrfs-progs v6.14', '6.14'],
      mke2fs: ['mke2fs 1.47.2 (1-Jan-2025)', '1.47.2'],
      'mkfs.vfat': ['mkfs.fat 4.2 (2021-01-31)\nNo device specified.', '4.2'],
      ssh: ['OpenSSH_9.2p1 Debian-2+deb12u6, OpenSSL 3.0.19', '9.2'],
      'qemu-system-x86_64': ['QEMU emulator version 10.0.13 (Debian 1:10.0.13+ds-0+deb13u1)', '10.0.13'],
      xorriso: ['xorriso 1.5.6 : RockRidge filesystem manipulator', '1.5.6'],
    } as const;
    for (const [tool, [text, version]] of Object.entries(printed)) {
      expect(parseVersion(text, toolRow(tool).versionPattern), tool).toBe(version);
    }
    expect(parseVersion('sh: 1: Illegal option --', toolRow('tar').versionPattern)).toBe('unknown');
  });

  it('names a Debian package for each program', () => {
    for (const [name, row] of toolTable) expect(row.debianPackage, name).toMatch(/^[a-z0-9][a-z0-9+.-]+$/);
    expect(() => toolRow('frobnicate')).toThrow('internal');
  });
});

describe('probeTools', () => {
  let scratch: HostPath;
  let cache: HostPath;
  const host = { kind: 'host' } as const;

  beforeEach(async () => {
    scratch = hostPath(await mkdtemp(join(tmpdir(), 'mkimg-tools-')));
    cache = hostPath(join(scratch, 'cache/versions.json'));
  });
  afterEach(() => rm(scratch, { recursive: true, force: true }));

  it('asks the real programs of this machine', async () => {
    const { found, missing } = await probeTools(
      [
        { tool: 'tar', minimum: '1.0', reason: 'packing' },
        { tool: 'tar', minimum: '99', reason: 'magic' },
        { tool: 'sh', reason: 'scripts' },
      ],
      host,
      cache,
    );
    expect(found.map(({ tool }) => tool)).toEqual(['tar', 'sh']);
    expect(found[0]?.version).toMatch(/^\d+\.\d+/);
    expect(missing).toMatchObject([
      { need: { reason: 'magic' }, reason: 'too-old', have: found[0]?.version },
    ]);
  });

  it('believes its cache until the file changes', async () => {
    const directory = join(scratch, 'bin');
    const program = join(directory, 'mksquashfs');
    await mkdir(directory);
    await writeFile(program, '#!/bin/sh\necho "mksquashfs version 4.6.1"\n');
    await chmod(program, 0o755);
    const path = process.env['PATH'];
    process.env['PATH'] = `${directory}:${path ?? ''}`;
    try {
      const needs = [{ tool: 'mksquashfs', reason: 'the test' }];
      const first = await probeTools(needs, host, cache);
      expect(first.found).toEqual([{ tool: 'mksquashfs', version: '4.6.1', path: program }]);
      // The same size and time: not asked again, as the version shows.
      const time = new Date('2024-01-01T00:00:00Z');
      await utimes(program, time, time);
      expect((await probeTools(needs, host, cache)).found[0]?.version).toBe('4.6.1');
      await writeFile(program, '#!/bin/sh\necho "mksquashfs version 4.7.0"\n');
      await utimes(program, time, time);
      expect((await probeTools(needs, host, cache)).found[0]?.version).toBe('4.6.1');
      await utimes(program, time, new Date('2024-01-02T00:00:00Z'));
      expect((await probeTools(needs, host, cache)).found[0]?.version).toBe('4.7.0');
    } finally {
      process.env['PATH'] = path;
    }
  });

  it('does not take a program of the host for one of a tree', async () => {
    const tree = hostPath(join(scratch, 'tree'));
    await mkdir(join(tree, 'usr/bin'), { recursive: true });
    await symlink('/usr/bin/tar', join(tree, 'usr/bin/gzip'));
    await symlink('../../../../../../../../../../usr/bin/tar', join(tree, 'usr/bin/xz'));
    const needs = ['tar', 'gzip', 'xz'].map((tool) => ({ tool, reason: 'the test' }));
    const { found, missing } = await probeTools(needs, { kind: 'tree', path: tree }, cache);
    expect(found).toEqual([]);
    expect(missing.map(({ reason }) => reason)).toEqual(['absent', 'absent', 'absent']);
  });

  it('says all that is missing at once, and how to get it', () => {
    const error = missingToolsError(
      [
        {
          need: { tool: 'systemd-repart', minimum: '254', reason: 'disk images' },
          reason: 'too-old',
          have: '252.38',
        },
        { need: { tool: 'mcopy', reason: 'the EFI system partition' }, reason: 'absent' },
      ],
      host,
    );
    expect(error.code).toBe('tool-missing');
    expect(error.message).toContain('\nsystemd-repart 254 or later (disk images; here is 252.38)');
    expect(error.message).toContain('\nmcopy (the EFI system partition)');
    expect(error.hint).toContain('apt install mtools systemd-repart');
  });
});
