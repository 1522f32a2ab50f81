import { architectures } from '../../distro/architectures/index.ts';
import type { Machine } from './machine.ts';
import { panicDevice, pciDevices, plainFirmware } from './pci.ts';

/** QEMU's own LoongArch machine with edk2. The guest finds no fw_cfg device through edk2's ACPI tables. */
export const loongarch64: Machine = {
  architecture: 'loongarch64',
  program: 'qemu-system-loongarch64',
  packages: { qemu: 'qemu-system-misc', firmware: 'qemu-efi-loongarch64' },
  type: 'virt',
  // la464 lacks what newer user space is built for; see docs/architectures.md.
  cpu: { kvm: 'host', tcg: 'max' },
  console: architectures.loongarch64.console,
  devices: { ...pciDevices, ...panicDevice },
  firmware: plainFirmware('drives', [
    // Debian and Ubuntu
    {
      code: '/usr/share/qemu-efi-loongarch64/QEMU_EFI.fd',
      variables: '/usr/share/qemu-efi-loongarch64/QEMU_VARS.fd',
    },
    // Arch and Fedora
    {
      code: '/usr/share/edk2/loongarch64/QEMU_CODE.fd',
      variables: '/usr/share/edk2/loongarch64/QEMU_VARS.fd',
    },
    {
      code: '/usr/share/edk2/loongarch64/QEMU_EFI.fd',
      variables: '/usr/share/edk2/loongarch64/QEMU_VARS.fd',
    },
  ]),
  // QEMU cannot unpack the kernels, and without ACPI tables they stop in the driver of a keyboard that is not there.
  kernelNeedsFirmware: true,
  channels: { smbios: 'firmware', fwCfg: false, commandLine: 4096 },
  kvm: { hosts: ['loongarch64'], probe: false },
};
