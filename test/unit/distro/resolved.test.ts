import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../src/base/canonical.ts';
import { formatDpkgStatus, parseDpkgStatus } from '../../../src/distro/dpkg-status.ts';
import type { ResolvedPackage } from '../../../src/distro/resolved.ts';
import {
  formatResolvedPackages,
  installationBytes,
  parseResolvedPackages,
} from '../../../src/distro/resolved.ts';

function entry(name: string, more: Partial<ResolvedPackage> = {}): ResolvedPackage {
  return {
    name,
    version: '1:2.0-1+b1~x',
    architecture: 'amd64',
    urls: [`http://mirror.example/${name}.deb`],
    size: 10,
    sha256: sha256(name),
    essential: false,
    base: false,
    source: { name, version: '2' },
    relations: { preDepends: 'a (>= 1)' },
    ...more,
  };
}

describe('ResolvedPackages', () => {
  it('is sorted, has one package on each line, and reads back', () => {
    const packages = [
      entry('zlib1g'),
      entry('bash', { essential: true, multiArch: 'foreign', installedSize: 2048 }),
      entry('bash', { architecture: 'i386' }),
    ];
    const text = formatResolvedPackages(packages);
    expect(text.split('\n')).toHaveLength(6);
    const read = parseResolvedPackages(text).packages;
    expect(read.map(({ name, architecture }) => `${name}:${architecture}`)).toEqual([
      'bash:amd64',
      'bash:i386',
      'zlib1g:amd64',
    ]);
    expect(read[0]).toEqual(packages[1]);
    expect(formatResolvedPackages([...read].reverse())).toBe(text);
  });

  it.each([
    ['not json', '{'],
    ['another format', '{"format":"other","packages":[]}'],
    [
      'a bad name',
      `{"format":"mkimg-packages-1","packages":[${JSON.stringify({ ...entry('a'), name: '--root=/' })}]}`,
    ],
    [
      'a bad digest',
      `{"format":"mkimg-packages-1","packages":[${JSON.stringify({ ...entry('a'), sha256: '../../x' })}]}`,
    ],
    [
      'a bad version',
      `{"format":"mkimg-packages-1","packages":[${JSON.stringify({ ...entry('a'), version: '1 2' })}]}`,
    ],
    [
      'no address',
      `{"format":"mkimg-packages-1","packages":[${JSON.stringify({ ...entry('a'), urls: [] })}]}`,
    ],
    [
      'a negative size',
      `{"format":"mkimg-packages-1","packages":[${JSON.stringify({ ...entry('a'), size: -1 })}]}`,
    ],
    ['an entry that is no object', '{"format":"mkimg-packages-1","packages":[1]}'],
  ])('refuses %s', (_, text) => {
    expect(() => parseResolvedPackages(text)).toThrow(/list of resolved packages is damaged/);
  });
});

it('needs room for the files of packages and what is in them', () => {
  const packages = [entry('known', { installedSize: 100 }), entry('unknown', { size: 20 })];
  expect(installationBytes(packages)).toBe(10 + 100 + 20 + 80);
});

describe('dpkg status', () => {
  it('tells what is there from what only left configuration', () => {
    const text = `Package: a
Status: install ok installed
Installed-Size: 12
Architecture: amd64
Version: 1
Conffiles:
 /etc/a 0123

Package: b
Status: deinstall ok config-files
Version: 2

Package: c
Status: install ok half-configured
Architecture: all
Version: 3
`;
    expect(parseDpkgStatus(text)).toEqual([
      { name: 'a', version: '1', architecture: 'amd64', state: 'installed', size: 12288 },
      { name: 'c', version: '3', architecture: 'all', state: 'half-configured', size: 0 },
    ]);
  });

  it('shows resolved packages as installed', () => {
    const text = formatDpkgStatus([entry('bash', { essential: true }), entry('awk', { multiArch: 'same' })]);
    expect(parseDpkgStatus(text).map(({ name, state }) => [name, state])).toEqual([
      ['bash', 'installed'],
      ['awk', 'installed'],
    ]);
    expect(text).toContain('Essential: yes\n');
    expect(text).toContain('Multi-Arch: same\nPre-Depends: a (>= 1)\n');
  });
});
