import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatStanzas, parseStanzas } from '../../../src/distro/deb822.ts';

describe('parseStanzas', () => {
  it('reads folded and multi-line values, without regard to the case of names', () => {
    const [first, second] = parseStanzas(
      'Package: a\nDEPENDS: b,\n  c\n\n\nPackage: d\nDescription: x\n y\n .\n z\n',
    );
    expect(first?.get('depends')).toBe('b,\n c');
    expect(second?.get('description')).toBe('x\ny\n.\nz');
  });

  it('survives lines that belong to nothing', () => {
    expect(parseStanzas(' lost continuation\nno colon\nA: 1\n')).toEqual([new Map([['a', '1']])]);
  });

  it('reads what formatStanzas writes', () => {
    const name = fc.stringMatching(/^[a-z][a-z-]{0,8}$/);
    const value = fc.stringMatching(/^[!-~]([ -~]{0,20}[!-~])?$/);
    const stanza = fc.uniqueArray(fc.tuple(name, value), { minLength: 1, selector: ([key]) => key });
    fc.assert(
      fc.property(fc.array(stanza), (stanzas) => {
        expect(parseStanzas(formatStanzas(stanzas))).toEqual(stanzas.map((fields) => new Map(fields)));
      }),
    );
  });
});
