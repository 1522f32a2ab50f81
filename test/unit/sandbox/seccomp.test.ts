import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SeccompOptions } from '../../../src/sandbox/seccomp.ts';
import { seccompFilter, syscallTables } from '../../../src/sandbox/seccomp.ts';

const allow = 0x7fff0000;
const succeed = 0x00050000;

/** Runs a filter as the kernel does, on the bytes that it would get. */
function interpret(bytes: Uint8Array, call: { nr: number; arch: number }, littleEndian: boolean): number {
  const program = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = bytes.byteLength / 8;
  let accumulator = 0;
  for (let at = 0; at < length; at++) {
    const code = program.getUint16(at * 8, littleEndian);
    const k = program.getUint32(at * 8 + 4, littleEndian);
    if (code === 0x20) accumulator = k === 0 ? call.nr : call.arch;
    else if (code === 0x15) at += program.getUint8(at * 8 + (accumulator === k ? 2 : 3));
    else if (code === 0x06) return k;
    else throw new Error(`unknown instruction ${code}`);
  }
  throw new Error('the program runs over its end');
}

function answer(options: SeccompOptions, nr: number, arch: number): number {
  const little = seccompFilter(options, 'LE');
  const big = seccompFilter(options, 'BE');
  if (little === undefined || big === undefined) throw new Error('no filter');
  const result = interpret(little, { nr, arch }, true);
  expect(interpret(big, { nr, arch }, false)).toBe(result);
  return result;
}

const anyOptions = fc.constantFrom(
  { suppressSync: true, suppressChown: false },
  { suppressSync: false, suppressChown: true },
  { suppressSync: true, suppressChown: true },
);

describe('seccompFilter', () => {
  it('is absent when there is nothing to answer', () => {
    expect(seccompFilter({ suppressSync: false, suppressChown: false })).toBeUndefined();
  });

  it('answers exactly the calls of its tables, on every architecture', () => {
    fc.assert(
      fc.property(
        anyOptions,
        fc.constantFrom(...syscallTables),
        fc.oneof(fc.nat(500), fc.nat(0xffffffff)),
        (options, table, nr) => {
          const sync: readonly number[] = table.sync;
          const ownership: readonly number[] = table.ownership;
          const isAnswered =
            (options.suppressSync && sync.includes(nr)) || (options.suppressChown && ownership.includes(nr));
          expect(answer(options, nr, table.auditArch)).toBe(isAnswered ? succeed : allow);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('lets calls of an unknown architecture pass', () => {
    const known = syscallTables.map(({ auditArch }) => auditArch);
    fc.assert(
      fc.property(anyOptions, fc.nat(500), fc.nat(0xffffffff), (options, nr, arch) => {
        fc.pre(!known.includes(arch));
        expect(answer(options, nr, arch)).toBe(allow);
      }),
    );
  });

  it('knows the numbers that a reader of the kernel headers would look up', () => {
    const both = { suppressSync: true, suppressChown: true };
    // The audit architectures as linux/audit.h has them.
    const calls = [
      { arch: 0xc000003e, fsync: 74, fchownat: 260, setgroups: 116 },
      { arch: 0x40000003, fsync: 118, chown32: 212, setresuid32: 208 },
      { arch: 0xc00000b7, fsync: 82, fchownat: 54, setgroups: 159 },
      { arch: 0x40000028, syncfs: 373, fchownat: 325 },
      { arch: 0xc00000f3, fdatasync: 83, fchown: 55 },
      { arch: 0xc0000015, sync_file_range2: 308, fchownat: 289 },
      { arch: 0x80000016, syncfs: 338, chown: 212 },
      { arch: 0xc0000102, fsync: 82, fchownat: 54 },
    ];
    expect(new Set(calls.map(({ arch }) => arch))).toEqual(
      new Set(syscallTables.map((table) => table.auditArch)),
    );
    for (const { arch, ...numbers } of calls) {
      for (const nr of Object.values<number>(numbers)) expect(answer(both, nr, arch)).toBe(succeed);
    }
  });

  it('stays within what the kernel takes (BPF_MAXINSNS)', () => {
    const filter = seccompFilter({ suppressSync: true, suppressChown: true });
    expect((filter?.byteLength ?? 0) / 8).toBeLessThan(4096);
  });
});
