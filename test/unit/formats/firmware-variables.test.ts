import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MkimgError } from '../../../src/base/errors.ts';
import type { FirmwareVariable } from '../../../src/formats/firmware-variables.ts';
import {
  machineOwnerVariables,
  secureBootVariables,
  withFirmwareVariables,
} from '../../../src/formats/firmware-variables.ts';
import { emptyVariables, variablesSize } from '../../helpers/firmware-variables.ts';

const vendor = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
/** The same as it stands in memory. */
const vendorBytes = '61dfe48bca93d211aa0d00e098032b8c';

interface Stored {
  readonly state: number;
  readonly attributes: number;
  readonly vendor: string;
  readonly name: string;
  readonly content: string;
}

/** What is in a store; written against the layout that templates of Debian's ovmf have. */
function stored(bytes: Buffer): readonly Stored[] {
  const found: Stored[] = [];
  let at = 100;
  while (bytes.readUInt16LE(at) === 0x55aa) {
    const nameSize = bytes.readUInt32LE(at + 36);
    const size = bytes.readUInt32LE(at + 40);
    found.push({
      state: bytes.readUInt8(at + 2),
      attributes: bytes.readUInt32LE(at + 4),
      vendor: bytes.toString('hex', at + 44, at + 60),
      name: bytes.toString('utf16le', at + 60, at + 60 + nameSize - 2),
      content: bytes.toString('hex', at + 60 + nameSize, at + 60 + nameSize + size),
    });
    at = Math.ceil((at + 60 + nameSize + size) / 4) * 4;
  }
  return found;
}

function variable(name: string, content: string): FirmwareVariable {
  return { name, vendor, attributes: 7, content: Buffer.from(content, 'hex') };
}

describe('withFirmwareVariables', () => {
  it('writes variables one behind the other, and leaves the original alone', () => {
    const store = emptyVariables();
    const before = Buffer.from(store);
    const written = withFirmwareVariables(store, [variable('Lang', '656e67'), variable('Timeout', '0500')]);
    expect(stored(written)).toEqual([
      { state: 0x3f, attributes: 7, vendor: vendorBytes, name: 'Lang', content: '656e67' },
      { state: 0x3f, attributes: 7, vendor: vendorBytes, name: 'Timeout', content: '0500' },
    ]);
    expect(store.equals(before)).toBe(true);
    expect(written.subarray(100 + 200).every((byte) => byte === 0xff)).toBe(true);
  });

  it('replaces a variable of the same name and vendor, and no other', () => {
    const first = withFirmwareVariables(emptyVariables(), [variable('Lang', '01'), variable('Lan', '02')]);
    const second = withFirmwareVariables(first, [variable('Lang', '03')]);
    expect(stored(second).map(({ name, content, state }) => [name, content, state])).toEqual([
      ['Lang', '01', 0x3c],
      ['Lan', '02', 0x3f],
      ['Lang', '03', 0x3f],
    ]);
  });

  it.each<readonly [string, Uint8Array]>([
    ['no firmware volume', Buffer.alloc(8192)],
    ['no firmware volume', Buffer.alloc(10)],
    ['no authenticated variables', emptyVariables('00000000000000000000000000000000')],
    ['ends too early', emptyVariables().subarray(0, 2000)],
  ])('refuses what holds %s', (reason, store) => {
    expect(() => withFirmwareVariables(store, [])).toThrow(reason);
  });

  it('says when there is no room', () => {
    const large = variable('Large', '00'.repeat(variablesSize));
    expect(() => withFirmwareVariables(emptyVariables(), [large])).toThrow('no room');
  });

  it('survives any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 300 }), fc.boolean(), (bytes, hasHeader) => {
        const store = emptyVariables();
        store.set(bytes, hasHeader ? 100 : 0);
        try {
          expect(withFirmwareVariables(store, [variable('A', '00')])).toHaveLength(store.length);
        } catch (error) {
          expect(error).toBeInstanceOf(MkimgError);
        }
      }),
    );
  });
});

describe('keys', () => {
  const certificate = Buffer.from('3082abcd', 'hex');
  // EFI_SIGNATURE_LIST: kind, sizes of the list, of its header and of an entry, owner, certificate.
  const list = [
    'a159c0a5e494a74a87b5ab155c2bf072',
    ...['30000000', '00000000', '14000000'],
    'a3a8baa01d04a848bc87c36d121b5e3d',
    '3082abcd',
  ].join('');

  it('of Secure Boot are one certificate for all purposes, and the switch', () => {
    const written = stored(withFirmwareVariables(emptyVariables(), secureBootVariables(certificate)));
    expect(written.map(({ name, attributes, content }) => [name, attributes, content])).toEqual([
      ['db', 0x27, list],
      ['KEK', 0x27, list],
      ['PK', 0x27, list],
      ['SecureBootEnable', 3, '01'],
    ]);
  });

  it('of the machine owner are for shim', () => {
    expect(machineOwnerVariables(certificate)).toMatchObject([
      { name: 'MokList', vendor: '605dab50-e046-4300-abb6-3dd810dd8b23', attributes: 3 },
    ]);
  });
});
