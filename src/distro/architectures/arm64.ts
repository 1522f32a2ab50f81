import type { Architecture } from './architecture.ts';
import { genericCalls } from './generic-calls.ts';

/** 64-bit ARM, ARMv8 and newer. */
export const arm64: Architecture = {
  names: { debian: 'arm64', fedora: 'aarch64', opensuse: 'aarch64', arch: 'aarch64', alpine: 'aarch64' },
  uname: 'aarch64',
  node: 'arm64',
  elf: { machine: 183, bits: 64, endian: 'little' },
  efi: { name: 'aa64', peMachines: [0xaa64] },
  partitionTypes: {
    root: [
      'b921b045-1df0-41c3-af44-4c6f280d3fae',
      'df3300ce-d69f-4c92-978c-9bfb0f38d820',
      '6db69de6-29f4-4758-a7a5-962190f00ce3',
    ],
    usr: [
      'b0e01050-ee5f-4390-949a-9101b17104e9',
      '6e11a4e7-fbca-4ded-b9e9-e1a512bb664e',
      'c23ce4ff-44bd-4b00-b2d4-b41b3419e02a',
    ],
  },
  loader: '/lib/ld-linux-aarch64.so.1',
  triplet: 'aarch64-linux-gnu',
  kernel: {
    formats: ['image', 'zboot', 'gzip'],
    packages: {
      debian: 'linux-image-arm64',
      fedora: 'kernel',
      opensuse: 'kernel-default',
      arch: 'linux-aarch64',
      alpine: 'linux-lts',
    },
    pageSizes: [4096, 16384, 65536],
  },
  console: 'ttyAMA0',
  emulator: 'qemu-aarch64',
  runsOn: [],
  systemCalls: genericCalls,
};
