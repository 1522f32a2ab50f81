import { describe, expect, it } from 'vitest';
import { elfSection } from '../../../src/formats/elf.ts';
import {
  firmwareNames,
  moduleName,
  parseBuiltinModinfo,
  parseModuleList,
  parseModulesDep,
  parsePlainAliases,
  parseRelations,
  readModinfo,
} from '../../../src/formats/kmod.ts';
import { writeKmodIndex } from '../../../src/formats/kmod-index.ts';
import { sampleElf } from './samples.ts';

describe('readers of depmod files', () => {
  it('read modules.dep', () => {
    const modules = parseModulesDep('kernel/a-b.ko.xz: kernel/x/c.ko.xz kernel/d.ko\nkernel/x/c.ko.xz:\n');
    expect([...modules.values()]).toEqual([
      { name: 'a_b', path: 'kernel/a-b.ko.xz', dependencies: ['c', 'd'] },
      { name: 'c', path: 'kernel/x/c.ko.xz', dependencies: [] },
    ]);
  });

  it('read soft and weak dependencies, several lines of one module together', () => {
    const text =
      '# comment\nsoftdep btrfs pre: sha256\nsoftdep btrfs pre: xxhash64 post: x\nsoftdep cifs gcm\n';
    expect([...parseRelations(text)]).toEqual([
      ['btrfs', ['sha256', 'xxhash64', 'x']],
      ['cifs', ['gcm']],
    ]);
    expect([...parseRelations('weakdep ax-b c d\n')]).toEqual([['ax_b', ['c', 'd']]]);
  });

  it('read plain aliases only', () => {
    const text =
      '# c\nalias crypto-sha256 sha256_ssse3\nalias crypto-sha256 sha256-generic\nalias pci:v*d* e1000\n';
    expect([...parsePlainAliases(text)]).toEqual([['crypto_sha256', ['sha256_ssse3', 'sha256_generic']]]);
  });

  it('read names and modinfo of what is built in', () => {
    expect([...parseModuleList('kernel/a-b.ko\nkernel/c.ko\n')]).toEqual(['a_b', 'c']);
    const fields = parseBuiltinModinfo('xhci.firmware=a/b.fw\0xhci.license=GPL\0tg3.firmware=x=y\0');
    expect([...fields].map(([name, list]) => [name, firmwareNames(list)])).toEqual([
      ['xhci', ['a/b.fw']],
      ['tg3', ['x=y']],
    ]);
  });

  it.each([
    ['kernel/fs/nls/nls_iso8859-1.ko.zst', 'nls_iso8859_1'],
    ['a-b', 'a_b'],
    ['x/y.ko.gz', 'y'],
  ])('name the module of %s', (path, name) => {
    expect(moduleName(path)).toBe(name);
  });
});

describe('modinfo of module files', () => {
  const content = Buffer.from('license=GPL\0firmware=a.bin\0firmware=b=c.bin\0depends=\0');

  it.each([true, false])('is read (little-endian: %s)', (littleEndian) => {
    const fields = readModinfo(sampleElf({ name: '.modinfo', content }, { littleEndian }));
    expect(firmwareNames(fields)).toEqual(['a.bin', 'b=c.bin']);
    expect(fields).toHaveLength(4);
  });

  it('is empty without the section, and a fault in damaged files', () => {
    expect(readModinfo(sampleElf({ name: '.text', content }))).toEqual([]);
    const damaged = sampleElf({ name: '.modinfo', content });
    damaged.writeBigUInt64LE(1n << 40n, 0x28);
    for (const file of [damaged, damaged.subarray(0, 60), Buffer.alloc(100)])
      expect(() => elfSection(file, '.modinfo')).toThrow(expect.objectContaining({ code: 'bad-elf' }));
  });
});

describe('writeKmodIndex', () => {
  it('writes the tree that kmod describes', () => {
    const index = writeKmodIndex([
      { key: 'ab', value: 'x', priority: 1 },
      { key: 'ac', value: 'y', priority: 2 },
    ]);
    const expected = [
      ...['b007f457', '00020001', '2000000c'],
      // The root has children from a to a, that one from b to c, and those have values.
      ...['6161', '20000012'],
      ...['6263', '4000001c', '40000026'],
      ...['00000001', '00000001', '7800'],
      ...['00000001', '00000002', '7900'],
    ];
    expect(index.toString('hex')).toBe(expected.join(''));
  });

  it('keeps values of one key by priority, and splits prefixes', () => {
    const index = writeKmodIndex([
      { key: 'abc', value: 'late', priority: 9 },
      { key: 'a', value: 'top', priority: 0 },
      { key: 'abc', value: 'early', priority: 3 },
    ]).toString('latin1');
    expect(index.indexOf('early')).toBeLessThan(index.indexOf('late'));
    expect(index.indexOf('top')).toBeLessThan(index.indexOf('early'));
  });

  it('refuses keys that the tree cannot hold', () => {
    expect(() => writeKmodIndex([{ key: 'ä', value: '', priority: 0 }])).toThrow(/internal/);
  });
});
