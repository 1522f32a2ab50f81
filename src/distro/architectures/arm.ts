import type { Architecture } from './architecture.ts';

/** 32-bit ARM, ARMv7 with hardware floating point. */
export const arm: Architecture = {
  names: { debian: 'armhf', opensuse: 'armv7hl', arch: 'armv7h', alpine: 'armv7' },
  uname: 'armv7l',
  node: 'arm',
  elf: { machine: 40, bits: 32, endian: 'little' },
  efi: { name: 'arm', peMachines: [0x1c2, 0x1c0] },
  partitionTypes: {
    root: [
      '69dad710-2ce4-4e3c-b16c-21a1d49abed3',
      '7386cdf2-203c-47a9-a498-f2ecce45a2d6',
      '42b0455f-eb11-491d-98d3-56145ba9d037',
    ],
    usr: [
      '7d0359a3-02b3-4f0a-865c-654403e70625',
      'c215d751-7bcd-4649-be90-6627490a4c05',
      'd7ff812f-37d1-4902-a810-d76ba57b975a',
    ],
  },
  loader: '/lib/ld-linux-armhf.so.3',
  triplet: 'arm-linux-gnueabihf',
  kernel: {
    formats: ['zimage'],
    packages: {
      debian: 'linux-image-armmp',
      opensuse: 'kernel-default',
      arch: 'linux-armv7',
      alpine: 'linux-lts',
    },
    pageSizes: [4096],
  },
  console: 'ttyAMA0',
  emulator: 'qemu-arm',
  runsOn: [],
  systemCalls: {
    sync: [36, 118, 144, 148, 341, 373],
    ownership: [
      16, 23, 46, 70, 71, 81, 95, 138, 139, 164, 170, 182, 198, 203, 204, 206, 207, 208, 210, 212, 213, 214,
      215, 216, 325,
    ],
  },
};
