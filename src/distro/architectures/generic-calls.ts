import type { SystemCalls } from './architecture.ts';

/**
 * asm-generic/unistd.h, which architectures since 2012 share. Ownership, in order: fchownat, fchown, setregid, setgid, setreuid,
 * setuid, setresuid, setresgid, setfsuid, setfsgid, setgroups.
 */
export const genericCalls: SystemCalls = {
  sync: [81, 82, 83, 84, 227, 267],
  ownership: [54, 55, 143, 144, 145, 146, 147, 149, 151, 152, 159],
};
