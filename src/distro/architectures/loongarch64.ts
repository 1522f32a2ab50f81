import type { Architecture } from './architecture.ts';
import { genericCalls } from './generic-calls.ts';

/** 64-bit LoongArch with the new ABI; in Debian since forky. */
export const loongarch64: Architecture = {
  names: { debian: 'loong64', alpine: 'loongarch64' },
  uname: 'loongarch64',
  node: 'loong64',
  elf: { machine: 258, bits: 64, endian: 'little' },
  efi: { name: 'loongarch64', peMachines: [0x6264] },
  partitionTypes: {
    root: [
      '77055800-792c-4f94-b39a-98c91b762bb6',
      'f3393b22-e9af-4613-a948-9d3bfbd0c535',
      '5afb67eb-ecc8-4f85-ae8e-ac1e7c50e7d0',
    ],
    usr: [
      'e611c702-575c-4cbe-9a46-434fa0bf7e3f',
      'f46b2c26-59ae-48f0-9106-c50ed47f673d',
      'b024f315-d330-444c-8461-44bbde524e99',
    ],
  },
  loader: '/lib64/ld-linux-loongarch-lp64d.so.1',
  triplet: 'loongarch64-linux-gnu',
  kernel: {
    formats: ['zboot', 'image'],
    packages: { debian: 'linux-image-loong64', alpine: 'linux-lts' },
    pageSizes: [16384],
  },
  console: 'ttyS0',
  emulator: 'qemu-loongarch64',
  runsOn: [],
  systemCalls: genericCalls,
};
