import { endianness } from 'node:os';
import type { SystemCalls } from '../distro/architectures/architecture.ts';
import { architectures } from '../distro/architectures/index.ts';

/** What the filter answers with success without doing it. */
export interface SeccompOptions {
  /** fsync and its kin: data of a build that is cut off is never used, so it needs no sync. */
  readonly suppressSync: boolean;
  /** Changes of owner, and changes of the process's own ids, which fail where only one id is mapped. */
  readonly suppressChown: boolean;
}

/** System call numbers of one ABI. */
export interface SyscallTable extends SystemCalls {
  /** AUDIT_ARCH_* of linux/audit.h: what the kernel reports in `seccomp_data.arch`. */
  readonly auditArch: number;
}

/** One instruction of classic BPF (struct sock_filter of linux/filter.h). */
export interface BpfInstruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

const loadWord = 0x20; // BPF_LD | BPF_W | BPF_ABS
const jumpEqual = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const returnConstant = 0x06; // BPF_RET | BPF_K
const seccompAllow = 0x7fff0000;
/** SECCOMP_RET_ERRNO with errno 0: the call returns 0 and nothing happens. */
const seccompSucceed = 0x00050000;
const offsetOfNumber = 0; // offsetof(struct seccomp_data, nr)
const offsetOfArch = 4; // offsetof(struct seccomp_data, arch)

// linux/audit.h: AUDIT_ARCH_* is the ELF machine with these bits.
const audit64Bit = 0x80000000;
const auditLittleEndian = 0x40000000;

/** The calls of each architecture. */
export const syscallTables: readonly SyscallTable[] = Object.values(architectures).map(
  ({ elf: { machine, bits, endian }, systemCalls }) => ({
    ...systemCalls,
    auditArch: machine + (bits === 64 ? audit64Bit : 0) + (endian === 'little' ? auditLittleEndian : 0),
  }),
);

/**
 * The filter as instructions. It knows every architecture of {@link syscallTables} by the audit architecture of the call
 * itself, so the same program serves all hosts, and the 32-bit calls of a 64-bit kernel too. Calls of an unknown
 * architecture pass. undefined when there is nothing to answer.
 *
 * It is a convenience for builds, not a wall: what it does not name is allowed.
 */
export function seccompProgram(options: SeccompOptions): readonly BpfInstruction[] | undefined {
  if (!options.suppressSync && !options.suppressChown) return undefined;
  const program: BpfInstruction[] = [];
  for (const table of syscallTables) {
    const numbers = [
      ...(options.suppressSync ? table.sync : []),
      ...(options.suppressChown ? table.ownership : []),
    ];
    // Jump offsets count from the next instruction. The block is: load number, tests, allow, succeed.
    program.push(
      { code: loadWord, jt: 0, jf: 0, k: offsetOfArch },
      { code: jumpEqual, jt: 0, jf: numbers.length + 3, k: table.auditArch },
      { code: loadWord, jt: 0, jf: 0, k: offsetOfNumber },
      ...numbers.map((k, index) => ({ code: jumpEqual, jt: numbers.length - index, jf: 0, k })),
      { code: returnConstant, jt: 0, jf: 0, k: seccompAllow },
      { code: returnConstant, jt: 0, jf: 0, k: seccompSucceed },
    );
  }
  program.push({ code: returnConstant, jt: 0, jf: 0, k: seccompAllow });
  return program;
}

/** The filter as the array of `struct sock_filter` that `bwrap --seccomp FD` reads; in the byte order of this machine. */
export function seccompFilter(
  options: SeccompOptions,
  order: 'LE' | 'BE' = endianness(),
): Uint8Array | undefined {
  const program = seccompProgram(options);
  if (program === undefined) return undefined;
  const bytes = new DataView(new ArrayBuffer(program.length * 8));
  for (const [index, { code, jt, jf, k }] of program.entries()) {
    bytes.setUint16(index * 8, code, order === 'LE');
    bytes.setUint8(index * 8 + 2, jt);
    bytes.setUint8(index * 8 + 3, jf);
    bytes.setUint32(index * 8 + 4, k, order === 'LE');
  }
  return new Uint8Array(bytes.buffer);
}
