import { describe, expect, it } from 'vitest';
import { reasonText } from '../../../../src/steps/kernel-modules/closure.ts';
import { genericModules } from '../../../../src/steps/kernel-modules/generic.ts';
import { matchedPath, modulePattern } from '../../../../src/steps/kernel-modules/patterns.ts';
import { reducedIndexes } from '../../../../src/steps/kernel-modules/reduced-indexes.ts';
import { moduleIndexes } from '../../../../src/steps/kernel-modules/read-indexes.ts';
import { selectModules } from '../../../../src/steps/kernel-modules/select.ts';

const texts = {
  'modules.dep': [
    'kernel/crypto/crc32c_generic.ko.xz:',
    'kernel/crypto/tcrypt.ko.xz:',
    'kernel/lib/libcrc32c.ko.xz:',
    'kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/fs/mbcache.ko.xz',
    'kernel/fs/jbd2/jbd2.ko.xz:',
    'kernel/fs/mbcache.ko.xz:',
    'kernel/drivers/nvme/host/nvme.ko.xz: kernel/drivers/nvme/host/nvme-core.ko.xz',
    'kernel/drivers/nvme/host/nvme-core.ko.xz:',
    'kernel/drivers/scsi/scsi_debug.ko.xz:',
    'kernel/drivers/scsi/sd_mod.ko.xz:',
    'kernel/drivers/gpu/drm/nouveau/nouveau.ko.xz:',
    'kernel/drivers/net/wireless/iwl-wifi.ko.xz:',
    'updates/dkms/extra.ko:',
    '',
  ].join('\n'),
  'modules.alias':
    'alias crypto-crc32c crc32c_generic\nalias pci:v00008086d*sv* nvme\nalias of-[a-b] sd_mod\nalias x-y nouveau\n',
  'modules.symbols': 'alias symbol:jbd2_x jbd2\nalias symbol:drm_y nouveau\n',
  'modules.softdep': '# text\nsoftdep ext4 pre: crypto-crc32c\nsoftdep nouveau pre: x\n',
  'modules.weakdep': 'weakdep sd_mod libcrc32c not-there\n',
  'modules.devname': 'nvme nvme-fabrics c10:122\nnouveau n c1:2\n',
  'modules.order': 'kernel/drivers/gpu/drm/nouveau/nouveau.ko\nkernel/fs/ext4/ext4.ko\n',
};

const indexes = moduleIndexes(texts);

function reasons(...patterns: readonly string[]): readonly string[] {
  return selectModules(patterns, indexes).map(
    ({ module, reasons }) =>
      `${module.name}: ${reasons
        .map(reasonText)
        .join()
        .replace(/^pattern | of/, '')}`,
  );
}

describe('selectModules', () => {
  it('adds what the selected modules need, and says why', () => {
    expect(reasons('ext4', 'sd-mod')).toEqual([
      'crc32c_generic: softdep ext4',
      'sd_mod: sd-mod',
      'ext4: ext4',
      'jbd2: dependency ext4',
      'mbcache: dependency ext4',
      'libcrc32c: weakdep sd_mod',
    ]);
  });

  it('lets the last pattern that matches decide, but never drops a dependency', () => {
    expect(reasons('drivers/scsi/', '-scsi_debug')).toEqual([
      'crc32c_generic: hidden dependency libcrc32c: checksums',
      'sd_mod: drivers/scsi/',
      'libcrc32c: weakdep sd_mod',
    ]);
    expect(reasons('-scsi_debug', 'drivers/scsi/').join()).toContain('scsi_debug: drivers/scsi/');
    expect(reasons('nvme', '-nvme-core')).toContain('nvme_core: dependency nvme');
  });

  it('knows the generic set', () => {
    const names = selectModules(['default'], indexes).map(({ module }) => module.name);
    expect(names).toEqual([
      ...['crc32c_generic', 'nvme_core', 'nvme', 'sd_mod', 'ext4', 'jbd2', 'mbcache', 'libcrc32c'],
    ]);
    expect(reasons('default', 'nouveau')).toContain('nouveau: nouveau');
    expect(reasons('default', '-ext4').join()).not.toContain('ext4');
    expect(reasons()).toEqual(reasons('default'));
    expect(reasons('-ext4')).toEqual(reasons('default', '-ext4'));
  });

  it.each(['host', 're:fs/.*'])('refuses %s', (pattern) => {
    expect(() => selectModules([pattern], indexes)).toThrow(
      expect.objectContaining({ code: 'unsupported-module-pattern' }),
    );
  });

  it('has a generic set that excludes only what an earlier pattern includes', () => {
    for (const [index, pattern] of genericModules.entries()) {
      if (!pattern.startsWith('-')) expect(genericModules.indexOf(pattern)).toBe(index);
    }
  });
});

describe('modulePattern', () => {
  it.each([
    ['nvme', 'kernel/drivers/nvme/host/nvme.ko.xz', true],
    ['nvme', 'kernel/drivers/nvme/host/nvme-core.ko.xz', false],
    ['nvme_core', 'kernel/drivers/nvme/host/nvme-core.ko.xz', true],
    ['nvme-core.ko', 'kernel/drivers/nvme/host/nvme_core.ko', true],
    ['nvme.ko.zst', 'kernel/drivers/nvme/host/nvme.ko.xz', true],
    ['nvme*', 'kernel/drivers/nvme/host/nvme-core.ko.xz', true],
    ['host', 'kernel/drivers/nvme/host/nvme.ko.xz', false],
    ['host/', 'kernel/drivers/nvme/host/nvme.ko.xz', true],
    ['drivers/nvme/', 'kernel/drivers/nvme/host/nvme.ko.xz', true],
    ['rivers/nvme/', 'kernel/drivers/nvme/host/nvme.ko.xz', false],
    ['nvme/*/nvme', 'kernel/drivers/nvme/host/nvme.ko.xz', true],
    ['/drivers/nvme/', 'kernel/drivers/nvme/host/nvme.ko.xz', true],
    ['/kernel/drivers/', 'kernel/drivers/nvme/host/nvme.ko.xz', true],
    ['/nvme/', 'kernel/drivers/nvme/host/nvme.ko.xz', false],
    ['/updates/', 'updates/dkms/extra.ko', true],
    ['arch/*/crypto/', 'kernel/arch/x86/crypto/aesni-intel.ko', true],
    ['raid[0-9]', 'kernel/drivers/md/raid1.ko', true],
    ['raid[!0-9]', 'kernel/drivers/md/raid1.ko', false],
    ['raid?', 'kernel/drivers/md/raid10.ko', false],
    ['a+b(c', 'kernel/a+b(c.ko', true],
    ['[', 'kernel/[.ko', true],
    // Ranges as fnmatch(3) has them.
    ['raid[9-0]', 'kernel/drivers/md/raid1.ko', false],
    ['raid[!9-0]', 'kernel/drivers/md/raid1.ko', true],
    ['raid[9-01]', 'kernel/drivers/md/raid1.ko', true],
    ['raid[1-]', 'kernel/drivers/md/raid-.ko', true],
    ['ra[a-i]d[^1]', 'kernel/drivers/md/raid1.ko', true],
    ['d[ivers/xhci[!x]', 'kernel/drivers/xhci.ko', false],
  ])('%s and %s: %s', (pattern, path, expected) => {
    expect(modulePattern(pattern).matches(matchedPath(path))).toBe(expected);
    expect(modulePattern(`-${pattern}`)).toMatchObject({ exclude: true, text: `-${pattern}` });
  });
});

describe('reducedIndexes', () => {
  const selected = selectModules(['ext4', 'nvme'], indexes).map(({ module }) => module);
  const reduced = reducedIndexes(texts, selected);
  const text = (name: string) => reduced.get(name)?.toString('latin1') ?? '';

  it('list the selected modules only, in the order of the full ones', () => {
    expect(text('modules.dep').match(/^[^:]+/gm)).toEqual([
      'kernel/crypto/crc32c_generic.ko.xz',
      'kernel/fs/ext4/ext4.ko.xz',
      'kernel/fs/jbd2/jbd2.ko.xz',
      'kernel/fs/mbcache.ko.xz',
      'kernel/drivers/nvme/host/nvme.ko.xz',
      'kernel/drivers/nvme/host/nvme-core.ko.xz',
    ]);
    expect(text('modules.softdep')).toBe('softdep ext4 pre: crypto-crc32c\n');
    expect(text('modules.weakdep')).toBe('');
    expect(text('modules.devname')).toBe('nvme nvme-fabrics c10:122\n');
    expect(text('modules.order')).toBe('kernel/fs/ext4/ext4.ko\n');
  });

  it('have binary forms without what was left out', () => {
    expect(text('modules.dep.bin')).toContain('kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz');
    expect(text('modules.alias.bin')).not.toContain('nouveau');
    expect(text('modules.alias.bin')).toContain('crc32c_generic');
    expect(text('modules.symbols.bin')).toContain('jbd2');
    expect(text('modules.symbols.bin')).not.toContain('nouveau');
  });

  it('write aliases as modprobe looks them up', () => {
    const alias = reducedIndexes(
      texts,
      selectModules(['sd_mod'], indexes).map(({ module }) => module),
    ).get('modules.alias.bin');
    expect(alias?.toString('latin1')).toContain('f_[a-b]');
  });
});
