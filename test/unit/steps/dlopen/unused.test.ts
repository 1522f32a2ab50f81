import { describe, expect, it } from 'vitest';
import type { LinkedFile } from '../../../../src/steps/dlopen/unused.ts';
import { unusedLibraries } from '../../../../src/steps/dlopen/unused.ts';

function file(path: string, wants: readonly string[] = [], soname?: string): LinkedFile {
  return { path, wants, soname };
}

describe('unusedLibraries', () => {
  it('finds named libraries that nothing is linked to, with the links to them', () => {
    const files = [
      file('usr/bin/cat', ['libc.so.6']),
      file('usr/lib/libdb-5.3.so', ['libc.so.6'], 'libdb-5.3.so'),
    ];
    const links = new Map([
      ['usr/lib/libdb-5.so', 'usr/lib/libdb-5.3.so'],
      ['usr/lib/other', 'usr/bin/cat'],
    ]);
    expect(unusedLibraries(files, links, ['libdb-*.so*'])).toEqual([
      'usr/lib/libdb-5.3.so',
      'usr/lib/libdb-5.so',
    ]);
  });
  it('leaves what no pattern names', () => {
    expect(unusedLibraries([file('usr/lib/libnss_dns.so.2')], new Map(), ['libdb-*.so*'])).toEqual([]);
  });
  it.each([
    ['by its own name', [file('usr/bin/program', ['libgmp.so.10.5'])], new Map<string, string>()],
    ['by its soname', [file('usr/bin/program', ['libgmp.so.10'])], new Map<string, string>()],
    [
      'by the name of a link',
      [file('usr/bin/program', ['libgmp.so'])],
      new Map([['usr/lib/libgmp.so', 'usr/lib/libgmp.so.10.5']]),
    ],
  ])('keeps a library that a program asks for %s', (_, programs, links) => {
    const library = file('usr/lib/libgmp.so.10.5', ['libc.so.6'], 'libgmp.so.10');
    expect(unusedLibraries([...programs, library], links, ['libgmp.so*'])).toEqual([]);
  });
  it('removes what only removed libraries want, and keeps what kept ones want', () => {
    const libraries = [
      file('usr/lib/libsemanage.so.2', ['libsepol.so.2', 'libbz2.so.1.0']),
      file('usr/lib/libsepol.so.2'),
      file('usr/lib/libbz2.so.1.0'),
      file('usr/lib/libarchive.so.13', ['libbz2.so.1.0']),
    ];
    const patterns = ['libsemanage.so*', 'libsepol.so*', 'libbz2.so*'];
    expect(unusedLibraries(libraries, new Map(), patterns)).toEqual([
      'usr/lib/libsemanage.so.2',
      'usr/lib/libsepol.so.2',
    ]);
  });
  it('never takes a program for a library', () => {
    expect(unusedLibraries([file('usr/bin/libtool')], new Map(), ['*'])).toEqual([]);
  });
});
