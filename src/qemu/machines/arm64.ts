import { architectures } from '../../distro/architectures/index.ts';
import type { Machine } from './machine.ts';
import { panicDevice, pciDevices, plainFirmware } from './pci.ts';

/** QEMU's own 64-bit Arm machine with edk2's ArmVirt firmware. */
export const arm64: Machine = {
  architecture: 'arm64',
  program: 'qemu-system-aarch64',
  packages: { qemu: 'qemu-system-arm', firmware: 'qemu-efi-aarch64' },
  type: 'virt',
  // Pointer authentication, which `max` has, costs software emulation dearly.
  cpu: { kvm: 'host', tcg: 'cortex-a57' },
  console: architectures.arm64.console,
  devices: { ...pciDevices, ...panicDevice, tpm: 'tpm-tis-device' },
  firmware: plainFirmware('drives', [
    // Debian and Ubuntu
    { code: '/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd', variables: '/usr/share/AAVMF/AAVMF_VARS.fd' },
    { code: '/usr/share/AAVMF/AAVMF_CODE.fd', variables: '/usr/share/AAVMF/AAVMF_VARS.fd' },
    // Arch
    { code: '/usr/share/edk2/aarch64/QEMU_CODE.fd', variables: '/usr/share/edk2/aarch64/QEMU_VARS.fd' },
    // openSUSE
    { code: '/usr/share/qemu/aavmf-aarch64-code.bin', variables: '/usr/share/qemu/aavmf-aarch64-vars.bin' },
    // Fedora
    {
      code: '/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw',
      variables: '/usr/share/edk2/aarch64/vars-template-pflash.raw',
    },
  ]),
  channels: { smbios: 'firmware', fwCfg: true, commandLine: 2048 },
  kvm: { hosts: ['arm64'], probe: false },
};
