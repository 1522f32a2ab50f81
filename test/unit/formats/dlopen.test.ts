import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MkimgError } from '../../../src/base/errors.ts';
import { bufferSource } from '../../../src/formats/bytes.ts';
import { dlopenNotes } from '../../../src/formats/dlopen.ts';
import { isElf, openElf } from '../../../src/formats/elf-file.ts';
import { dlopenNote, sampleElf } from './elf-sample.ts';

const forms = [
  { bits: 64, bigEndian: false },
  { bits: 64, bigEndian: true },
  { bits: 32, bigEndian: false },
  { bits: 32, bigEndian: true },
] as const;

function notesOf(notes: Parameters<typeof sampleElf>[0]['notes']) {
  return dlopenNotes(openElf(bufferSource(sampleElf({ ...(notes === undefined ? {} : { notes }) }))));
}

describe.each(forms)('an ELF file of $bits bits, big endian: $bigEndian', (form) => {
  it('tells its notes and what it is linked to', () => {
    const notes = [
      { owner: 'GNU', type: 3, content: 'build-id' },
      dlopenNote(['liba.so.1', 'liba.so.0'], { feature: 'a', description: 'b', priority: 'required' }),
      dlopenNote(['libc.so.1']),
    ];
    const more = { needed: ['libc.so.6', 'libm.so.6'], soname: 'libx.so.1', runpath: '$ORIGIN/../x:/y' };
    const file = openElf(bufferSource(sampleElf({ ...form, ...more, notes })));
    expect(file.notes().map(({ owner, type }) => [owner, type])).toEqual([
      ['GNU', 3],
      ['FDO', 0x407c0c0a],
      ['FDO', 0x407c0c0a],
    ]);
    expect(dlopenNotes(file)).toEqual([
      { feature: 'a', description: 'b', priority: 'required', sonames: ['liba.so.1', 'liba.so.0'] },
      { feature: '', description: '', priority: 'recommended', sonames: ['libc.so.1'] },
    ]);
    expect(file.dynamic()).toEqual({
      needed: ['libc.so.6', 'libm.so.6'],
      soname: 'libx.so.1',
      runpath: ['$ORIGIN/../x', '/y'],
    });
  });

  it('has a machine of its own', () => {
    const machines = forms.map((other) => openElf(bufferSource(sampleElf(other))).machine);
    expect(
      machines.filter((machine) => machine === openElf(bufferSource(sampleElf(form))).machine),
    ).toHaveLength(1);
  });
});

describe('dlopenNotes', () => {
  it('passes over what is not in the form of the specification', () => {
    const contents = [
      '',
      'x',
      '{}',
      '[1]',
      '[{"soname":"liba.so"}]',
      '[{"soname":[]}]',
      '[{"soname":["../a","",1]}]',
    ];
    expect(notesOf(contents.map((content) => ({ content })))).toEqual([]);
    expect(
      notesOf([
        { ...dlopenNote(['liba.so.1']), type: 1 },
        { ...dlopenNote(['liba.so.1']), owner: 'X' },
      ]),
    ).toEqual([]);
  });

  it('reads several libraries in one note', () => {
    const content = JSON.stringify([{ soname: ['a.so'] }, { soname: ['b.so'], priority: 'suggested' }]);
    expect(notesOf([{ content }]).map(({ sonames, priority }) => [sonames, priority])).toEqual([
      [['a.so'], 'recommended'],
      [['b.so'], 'suggested'],
    ]);
  });
});

describe('openElf', () => {
  const sample = sampleElf({ notes: [dlopenNote(['liba.so.1'])], needed: ['libc.so.6'], runpath: '/x' });

  it('refuses other files', () => {
    for (const bytes of [
      Buffer.alloc(0),
      Buffer.from('#!/bin/sh\n'),
      Buffer.alloc(64),
      sample.subarray(0, 30),
    ]) {
      expect(() => openElf(bufferSource(bytes))).toThrow(MkimgError);
    }
    expect(isElf(bufferSource(sample))).toBe(true);
  });

  it('answers or refuses, whatever the bytes are', () => {
    const change = fc.tuple(fc.nat(sample.length - 1), fc.integer({ min: 0, max: 255 }));
    const damage = fc.record({ changes: fc.array(change, { maxLength: 12 }), length: fc.nat(sample.length) });
    fc.assert(
      fc.property(damage, ({ changes, length }) => {
        const bytes = Buffer.from(sample.subarray(0, length));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        try {
          const file = openElf(bufferSource(bytes));
          dlopenNotes(file);
          file.dynamic();
        } catch (error) {
          expect(error).toBeInstanceOf(MkimgError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
