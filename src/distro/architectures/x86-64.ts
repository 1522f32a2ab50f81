import type { Architecture } from './architecture.ts';

/** 64-bit PCs. */
export const x86_64: Architecture = {
  names: { debian: 'amd64', fedora: 'x86_64', opensuse: 'x86_64', arch: 'x86_64', alpine: 'x86_64' },
  uname: 'x86_64',
  node: 'x64',
  elf: { machine: 62, bits: 64, endian: 'little' },
  efi: { name: 'x64', peMachines: [0x8664] },
  partitionTypes: {
    root: [
      '4f68bce3-e8cd-4db1-96e7-fbcaf984b709',
      '2c7357ed-ebd2-46d9-aec1-23d437ec2bf5',
      '41092b05-9fc8-4523-994f-2def0408b176',
    ],
    usr: [
      '8484680c-9521-48c6-9c11-b0720656f69e',
      '77ff5f63-e7b6-4633-acf4-1565b864c0e6',
      'e7bb33fb-06cf-4e81-8273-e543b413e2e2',
    ],
  },
  loader: '/lib64/ld-linux-x86-64.so.2',
  triplet: 'x86_64-linux-gnu',
  kernel: {
    formats: ['bzimage'],
    packages: {
      debian: 'linux-image-amd64',
      fedora: 'kernel',
      opensuse: 'kernel-default',
      arch: 'linux',
      alpine: 'linux-lts',
    },
    pageSizes: [4096],
  },
  console: 'ttyS0',
  emulator: 'qemu-x86_64',
  runsOn: [],
  systemCalls: {
    sync: [26, 74, 75, 162, 277, 306],
    ownership: [92, 93, 94, 105, 106, 113, 114, 116, 117, 119, 122, 123, 260],
  },
};
