import { architectures } from '../../distro/architectures/index.ts';
import type { Machine } from './machine.ts';
import { pciDevices } from './pci.ts';

/** IBM's logical partition (PAPR). Its firmware SLOF comes with QEMU; a kernel tells of its panic through RTAS. */
export const ppc64_le: Machine = {
  architecture: 'ppc64-le',
  program: 'qemu-system-ppc64',
  packages: { qemu: 'qemu-system-ppc' },
  // Software emulation cannot do what these keep away from, and QEMU warns of each.
  type: 'pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off',
  cpu: { kvm: 'host', tcg: 'power9' },
  console: architectures['ppc64-le'].console,
  devices: { ...pciDevices, tpm: 'tpm-spapr' },
  channels: { smbios: 'never', fwCfg: false, commandLine: 2048 },
  kvm: { hosts: ['ppc64-le'], probe: false },
};
