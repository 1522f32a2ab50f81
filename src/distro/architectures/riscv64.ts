import type { Architecture } from './architecture.ts';
import { genericCalls } from './generic-calls.ts';

/** 64-bit RISC-V with the extensions of RV64GC. */
export const riscv64: Architecture = {
  names: { debian: 'riscv64', fedora: 'riscv64', opensuse: 'riscv64', alpine: 'riscv64' },
  uname: 'riscv64',
  node: 'riscv64',
  elf: { machine: 243, bits: 64, endian: 'little' },
  efi: { name: 'riscv64', peMachines: [0x5064] },
  partitionTypes: {
    root: [
      '72ec70a6-cf74-40e6-bd49-4bda08e8f224',
      'b6ed5582-440b-4209-b8da-5ff7c419ea3d',
      'efe0f087-ea8d-4469-821a-4c2a96a8386a',
    ],
    usr: [
      'beaec34b-8442-439b-a40b-984381ed097d',
      '8f1056be-9b05-47c4-81d6-be53128e5b54',
      'd2f9000a-7a18-453f-b5cd-4d32f77a7b32',
    ],
  },
  loader: '/lib/ld-linux-riscv64-lp64d.so.1',
  triplet: 'riscv64-linux-gnu',
  kernel: {
    formats: ['image', 'zboot', 'gzip'],
    packages: {
      debian: 'linux-image-riscv64',
      fedora: 'kernel',
      opensuse: 'kernel-default',
      alpine: 'linux-lts',
    },
    pageSizes: [4096],
  },
  console: 'ttyS0',
  emulator: 'qemu-riscv64',
  runsOn: [],
  systemCalls: genericCalls,
};
