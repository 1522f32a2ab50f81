import type { Architecture } from './architecture.ts';

/** 32-bit PCs. Debian has had no kernel for them since trixie: theirs is that of 64-bit PCs. */
export const x86: Architecture = {
  names: { debian: 'i386', opensuse: 'i586', alpine: 'x86' },
  uname: 'i686',
  node: 'ia32',
  elf: { machine: 3, bits: 32, endian: 'little' },
  efi: { name: 'ia32', peMachines: [0x14c] },
  partitionTypes: {
    root: [
      '44479540-f297-41b2-9af7-d131d5f0458a',
      'd13c5d3b-b5d1-422a-b29f-9454fdc89d76',
      '5996fc05-109c-48de-808b-23fa0830b676',
    ],
    usr: [
      '75250d76-8cc6-458e-bd66-bd47cc81a812',
      '8f461b0d-14ee-4e81-9aa9-049b6fb97abd',
      '974a71c0-de41-43c3-be5d-5c5ccd1ad2c0',
    ],
  },
  loader: '/lib/ld-linux.so.2',
  triplet: 'i386-linux-gnu',
  kernel: {
    formats: ['bzimage'],
    packages: { debian: 'linux-image-amd64:amd64', opensuse: 'kernel-default', alpine: 'linux-lts' },
    from: 'x86-64',
    pageSizes: [4096],
  },
  console: 'ttyS0',
  emulator: 'qemu-i386',
  runsOn: ['x86-64'],
  systemCalls: {
    sync: [36, 118, 144, 148, 314, 344],
    ownership: [
      16, 23, 46, 70, 71, 81, 95, 138, 139, 164, 170, 182, 198, 203, 204, 206, 207, 208, 210, 212, 213, 214,
      215, 216, 298,
    ],
  },
};
