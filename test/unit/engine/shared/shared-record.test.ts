import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../../src/base/canonical.ts';
import type { StoreRecord } from '../../../../src/engine/record.ts';
import { stepKey } from '../../../../src/engine/record.ts';
import { inside } from '../../../../src/engine/shared/http-transport.ts';
import { parseNetrc } from '../../../../src/engine/shared/netrc.ts';
import { shownAddress } from '../../../../src/engine/shared/shared-cache.ts';
import { formatSharedRecord, parseSharedRecord } from '../../../../src/engine/shared/shared-record.ts';

const [lower, key] = [stepKey(sha256('lower')), stepKey(sha256('key'))] as const;
const archive = { sha256: sha256('archive'), bytes: 17 };
const stored: StoreRecord = {
  ...{ format: 1, key, kind: 'depmod', label: 'main: depmod', createdAt: 1, bytes: 9 },
  artifact: { type: 'tree', listing: sha256('listing'), entries: 3, products: sha256('products') },
  layers: [lower, key],
  meta: { a: [1] },
  identity: { kind: 'depmod' },
  chain: [{ label: 'main: before', identity: {} }],
};
const text = formatSharedRecord(stored, archive);

describe('a record of a shared cache', () => {
  it('is read as it was written, without what holds for one machine alone', () => {
    expect(parseSharedRecord(text, key)).toEqual({
      ...{ format: 1, key, kind: 'depmod', label: 'main: depmod', type: 'tree', products: true, bytes: 9 },
      ...{ layers: [lower, key], meta: { a: [1] }, identity: { kind: 'depmod' } },
      ...{ chain: [{ label: 'main: before', identity: {} }], archive },
    });
  });

  it.each([
    ['another key', { key: lower }],
    ['another format', { format: 2 }],
    ['layers that do not end with its own', { layers: [key, lower] }],
    ['a layer twice', { layers: [lower, lower, key] }],
    ['a layer that is a path', { layers: ['../../etc', key] }],
    ['layers below a file', { type: 'file', products: false }],
    ['a type of no artifact', { type: 'device' }],
    ['a label for the terminal', { label: '\u001b[2J' }],
    ['a digest that is a path', { archive: { ...archive, sha256: '../x' } }],
    ['a negative size', { archive: { ...archive, bytes: -1 } }],
    ['a fraction of a byte', { bytes: 0.5 }],
    ['a chain of no steps', { chain: [null] }],
  ])('is refused with %s', (_, change) => {
    const changed = { ...(JSON.parse(text) as object), ...change };
    expect(parseSharedRecord(JSON.stringify(changed), key)).toBe(undefined);
  });

  it('is never more than a value or nothing, whatever is answered', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (answer) => parseSharedRecord(answer, key) === undefined),
    );
  });
});

describe('addresses', () => {
  it.each(['https://host/a/b', 'https://host/a/b/'])('of files are below %s', (base) => {
    expect(inside(new URL(base), 'ac/x').href).toBe('https://host/a/b/ac/x');
  });

  it('are shown without what may be secret', () => {
    expect(shownAddress(new URL('https://me:pass@host:1/a?token=1#x'))).toBe('https://host:1/a');
  });
});

describe('parseNetrc', () => {
  it.each([
    ['machine h login a password b', { login: 'a', password: 'b' }],
    [
      '# machine h login x\nmachine g login c\nmachine h\n\tpassword b\n\tlogin a',
      { login: 'a', password: 'b' },
    ],
    ['machine g login c password d default login a', { login: 'a', password: '' }],
    ['macdef init\nmachine h login x\n\nmachine h login a password b', { login: 'a', password: 'b' }],
    ['machine g login c', undefined],
    ['machine h password b', undefined],
    ['machine', undefined],
  ])('reads %j', (netrc, expected) => {
    expect(parseNetrc(netrc, 'h')).toEqual(expected);
  });
});
