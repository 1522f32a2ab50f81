import { architectures } from '../../distro/architectures/index.ts';
import type { Machine } from './machine.ts';
import { panicDevice, pciDevices, plainFirmware } from './pci.ts';

/** QEMU's own 32-bit Arm machine with edk2's ArmVirt firmware. Debian's kernels for it have no driver for fw_cfg. */
export const arm: Machine = {
  architecture: 'arm',
  program: 'qemu-system-arm',
  packages: { qemu: 'qemu-system-arm', firmware: 'qemu-efi-arm' },
  // Otherwise a kernel that QEMU loads finds PCI above 4 GiB, where only kernels with LPAE can reach it.
  type: 'virt,highmem=off',
  cpu: { kvm: 'host', tcg: 'cortex-a15' },
  console: architectures.arm.console,
  devices: { ...pciDevices, ...panicDevice },
  firmware: plainFirmware('drives', [
    // Debian and Ubuntu
    { code: '/usr/share/AAVMF/AAVMF32_CODE.fd', variables: '/usr/share/AAVMF/AAVMF32_VARS.fd' },
    // Arch
    { code: '/usr/share/edk2/arm/QEMU_CODE.fd', variables: '/usr/share/edk2/arm/QEMU_VARS.fd' },
    // Fedora
    {
      code: '/usr/share/edk2/arm/QEMU_EFI-pflash.raw',
      variables: '/usr/share/edk2/arm/vars-template-pflash.raw',
    },
  ]),
  channels: { smbios: 'firmware', fwCfg: false, commandLine: 1024 },
  kvm: { hosts: ['arm'], probe: false },
};
