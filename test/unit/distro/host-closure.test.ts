import { describe, expect, it } from 'vitest';
import type { Installed } from '../../../src/distro/host-closure.ts';
import { consistentPackages, installedClosure } from '../../../src/distro/host-closure.ts';

interface Fields extends Partial<Installed> {
  readonly depends?: string;
  readonly preDepends?: string;
  readonly provides?: string;
}

function installed(name: string, { depends, preDepends, provides, ...more }: Fields = {}): Installed {
  const relations = {
    ...(depends === undefined ? {} : { depends }),
    ...(preDepends === undefined ? {} : { preDepends }),
    ...(provides === undefined ? {} : { provides }),
  };
  return { name, version: '1', architecture: 'amd64', essential: false, relations, ...more };
}

function closureOf(packages: readonly Installed[], items: readonly string[], recommends = false) {
  const closure = installedClosure(packages, { items, native: 'amd64', recommends });
  return {
    names: closure.packages.map(({ name, architecture }) => `${name}:${architecture}`).sort(),
    missing: closure.missing,
    unmet: closure.unmet.map(({ of, names }) => `${of.name}: ${names.join('|')}`),
  };
}

describe('installedClosure', () => {
  it('takes what is named, what that depends on, and the essential packages', () => {
    const system = [
      installed('base', { essential: true, preDepends: 'libc6 (>= 1)' }),
      installed('libc6'),
      installed('udev', { depends: 'libudev1 (= 1), kmod' }),
      ...[installed('libudev1'), installed('kmod'), installed('unwanted')],
    ];
    expect(closureOf(system, ['udev'])).toEqual({
      names: ['base:amd64', 'kmod:amd64', 'libc6:amd64', 'libudev1:amd64', 'udev:amd64'],
      ...{ missing: [], unmet: [] },
    });
  });

  it('takes of alternatives the first that is there in a version that will do', () => {
    const system = [
      installed('a', { depends: 'absent | old (>= 2) | virtual (>= 3) | good' }),
      installed('old'),
      installed('provider', { provides: 'virtual (= 2)' }),
      installed('good'),
    ];
    expect(closureOf(system, ['a']).names).toEqual(['a:amd64', 'good:amd64']);
  });

  it('takes packages that provide a name, with a version where one is asked for', () => {
    const system = [
      installed('a', { depends: 'virtual, versioned (>= 2)' }),
      installed('plain', { provides: 'virtual, versioned' }),
      installed('exact', { provides: 'versioned (= 2)' }),
    ];
    expect(closureOf(system, ['a']).names).toEqual(['a:amd64', 'exact:amd64', 'plain:amd64']);
  });

  it('keeps architectures apart as Multi-Arch says', () => {
    const system = [
      installed('a', { depends: 'lib, tool, script:any, own:any' }),
      installed('lib', { architecture: 'i386' }),
      installed('tool', { architecture: 'i386', multiArch: 'foreign' }),
      installed('script', { architecture: 'i386', multiArch: 'allowed' }),
      installed('own', { architecture: 'all' }),
    ];
    expect(closureOf(system, ['a'])).toEqual({
      names: ['a:amd64', 'own:all', 'script:i386', 'tool:i386'],
      missing: [],
      unmet: ['a: lib'],
    });
    expect(closureOf(system, ['lib:i386']).names).toEqual(['lib:i386']);
  });

  it('reads requests as apt does', () => {
    const system = [
      installed('libtss2-esys-3.0.2-0t64'),
      installed('libtss2-rc0t64'),
      installed('systemd', { version: '257.9-1~deb13u1', provides: 'systemd-tmpfiles' }),
      installed('g++'),
    ];
    const names = (item: string) => closureOf(system, [item]).names.map((name) => name.replace(/:.*/, ''));
    expect(names('libtss2-*')).toEqual(['libtss2-esys-3.0.2-0t64', 'libtss2-rc0t64']);
    expect(names('^libtss2-(esys|mu).*')).toEqual(['libtss2-esys-3.0.2-0t64']);
    expect(names('g++')).toEqual(['g++']);
    expect(names('systemd=257.9-1~deb13u1')).toEqual(['systemd']);
    expect(names('systemd-tmpfiles')).toEqual(['systemd']);
    expect(names('ifupdown-')).toEqual([]);
    for (const item of [
      'absent',
      'systemd=258',
      'systemd/sid',
      '?essential',
      '~nfoo',
      'x*',
      '/tmp/x.deb',
      '^(',
    ])
      expect(closureOf(system, [item]).missing).toEqual([item]);
  });

  it('follows recommendations as far as they are installed, when asked to', () => {
    const system = [installed('a', { recommends: 'b, c' }), installed('b')];
    expect(closureOf(system, ['a']).names).toEqual(['a:amd64']);
    expect(closureOf(system, ['a'], true)).toEqual({ names: ['a:amd64', 'b:amd64'], missing: [], unmet: [] });
  });

  it('ends where packages depend on each other', () => {
    const system = [installed('a', { depends: 'b' }), installed('b', { depends: 'a' })];
    expect(closureOf(system, ['a']).names).toEqual(['a:amd64', 'b:amd64']);
  });
});

describe('consistentPackages', () => {
  it('drops what lacks a dependency, and what needs that', () => {
    const system = [
      installed('a', { depends: 'b' }),
      installed('b', { depends: 'absent' }),
      installed('c', { depends: 'd' }),
      installed('d'),
    ];
    expect(consistentPackages(system, 'amd64').map(({ name }) => name)).toEqual(['c', 'd']);
  });
});
