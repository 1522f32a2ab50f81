import type { Architecture } from './architecture.ts';

/** IBM Z mainframes. */
export const s390x: Architecture = {
  names: { debian: 's390x', fedora: 's390x', opensuse: 's390x', alpine: 's390x' },
  uname: 's390x',
  node: 's390x',
  elf: { machine: 22, bits: 64, endian: 'big' },
  partitionTypes: {
    root: [
      '5eead9a9-fe09-4a1e-a1d7-520d00531306',
      'b325bfbe-c7be-4ab8-8357-139e652d2f6b',
      'c80187a5-73a3-491a-901a-017c3fa953e9',
    ],
    usr: [
      '8a4f5770-50aa-4ed3-874a-99b710db6fea',
      '31741cc4-1a2a-4111-a581-e00b447d2d06',
      '3f324816-667b-46ae-86ee-9b0c0c6c11b4',
    ],
  },
  loader: '/lib/ld64.so.1',
  triplet: 's390x-linux-gnu',
  kernel: {
    formats: ['s390'],
    packages: {
      debian: 'linux-image-s390x',
      fedora: 'kernel',
      opensuse: 'kernel-default',
      alpine: 'linux-lts',
    },
    pageSizes: [4096],
  },
  console: 'ttysclp0',
  emulator: 'qemu-s390x',
  runsOn: [],
  systemCalls: {
    sync: [36, 118, 144, 148, 307, 338],
    ownership: [198, 203, 204, 206, 207, 208, 210, 212, 213, 214, 215, 216, 291],
  },
};
