import { endianness } from 'node:os';

/** What the filter answers with success without doing it. */
export interface SeccompOptions {
  /** fsync and its kin: data of a build that is cut off is never used, so it needs no sync. */
  readonly suppressSync: boolean;
  /** Changes of owner, and changes of the process's own ids, which fail where only one id is mapped. */
  readonly suppressChown: boolean;
}

/** System call numbers of one ABI. */
export interface SyscallTable {
  /** AUDIT_ARCH_* of linux/audit.h: what the kernel reports in `seccomp_data.arch`. */
  readonly auditArch: number;
  readonly sync: readonly number[];
  readonly ownership: readonly number[];
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

// asm-generic/unistd.h, which aarch64, riscv64 and loongarch64 share. Ownership, in order: fchownat, fchown, setregid,
// setgid, setreuid, setuid, setresuid, setresgid, setfsuid, setfsgid, setgroups.
const genericSync = [81, 82, 83, 84, 227, 267];
const genericOwnership = [54, 55, 143, 144, 145, 146, 147, 149, 151, 152, 159];

/**
 * Numbers from the kernel's asm/unistd.h of each architecture (Linux 6.1), as its headers define them. `sync`: sync, fsync,
 * fdatasync, msync, sync_file_range (on ARM and POWER sync_file_range2), syncfs. `ownership`: the chown family, and
 * setuid, setgid, setreuid, setregid, setresuid, setresgid, setgroups, setfsuid, setfsgid; where 16-bit ids have calls
 * of their own, both.
 */
export const syscallTables = {
  x86_64: {
    auditArch: 0xc000003e,
    sync: [26, 74, 75, 162, 277, 306],
    ownership: [92, 93, 94, 105, 106, 113, 114, 116, 117, 119, 122, 123, 260],
  },
  i386: {
    auditArch: 0x40000003,
    sync: [36, 118, 144, 148, 314, 344],
    ownership: [
      16, 23, 46, 70, 71, 81, 95, 138, 139, 164, 170, 182, 198, 203, 204, 206, 207, 208, 210, 212, 213, 214,
      215, 216, 298,
    ],
  },
  aarch64: { auditArch: 0xc00000b7, sync: genericSync, ownership: genericOwnership },
  arm: {
    auditArch: 0x40000028,
    sync: [36, 118, 144, 148, 341, 373],
    ownership: [
      16, 23, 46, 70, 71, 81, 95, 138, 139, 164, 170, 182, 198, 203, 204, 206, 207, 208, 210, 212, 213, 214,
      215, 216, 325,
    ],
  },
  riscv64: { auditArch: 0xc00000f3, sync: genericSync, ownership: genericOwnership },
  ppc64le: {
    auditArch: 0xc0000015,
    sync: [36, 118, 144, 148, 308, 348],
    ownership: [16, 23, 46, 70, 71, 81, 95, 138, 139, 164, 169, 181, 289],
  },
  s390x: {
    auditArch: 0x80000016,
    sync: [36, 118, 144, 148, 307, 338],
    ownership: [198, 203, 204, 206, 207, 208, 210, 212, 213, 214, 215, 216, 291],
  },
  loongarch64: { auditArch: 0xc0000102, sync: genericSync, ownership: genericOwnership },
} as const satisfies Record<string, SyscallTable>;

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
  for (const table of Object.values(syscallTables)) {
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
