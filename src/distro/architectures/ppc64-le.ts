import type { Architecture } from './architecture.ts';

/** 64-bit POWER, POWER8 and newer, little-endian. */
export const ppc64le: Architecture = {
  names: { debian: 'ppc64el', fedora: 'ppc64le', opensuse: 'ppc64le', alpine: 'ppc64le' },
  uname: 'ppc64le',
  node: 'ppc64',
  elf: { machine: 21, bits: 64, endian: 'little' },
  partitionTypes: {
    root: [
      'c31c45e6-3f39-412e-80fb-4809c4980599',
      '906bd944-4589-4aae-a4e4-dd983917446a',
      'd4a236e7-e873-4c07-bf1d-bf6cf7f1c3c6',
    ],
    usr: [
      '15bb03af-77e7-4d4a-b12b-c0d084f7491c',
      'ee2b9983-21e8-4153-86d9-b6901a54d1ce',
      'c8bfbd1e-268e-4521-8bba-bf314c399557',
    ],
  },
  loader: '/lib64/ld64.so.2',
  triplet: 'powerpc64le-linux-gnu',
  kernel: {
    formats: ['elf'],
    packages: {
      debian: 'linux-image-powerpc64le',
      fedora: 'kernel',
      opensuse: 'kernel-default',
      alpine: 'linux-lts',
    },
    pageSizes: [4096, 65536],
  },
  console: 'hvc0',
  emulator: 'qemu-ppc64le',
  runsOn: [],
  systemCalls: {
    sync: [36, 118, 144, 148, 308, 348],
    ownership: [16, 23, 46, 70, 71, 81, 95, 138, 139, 164, 169, 181, 289],
  },
};
