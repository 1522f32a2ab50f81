import { architectures } from '../../distro/architectures/index.ts';
import type { Machine } from './machine.ts';
import { panicDevice, pciDevices, plainFirmware } from './pci.ts';

/** QEMU's own RISC-V machine: OpenSBI, which QEMU brings along, starts edk2 or the kernel. */
export const riscv64: Machine = {
  architecture: 'riscv64',
  program: 'qemu-system-riscv64',
  packages: { qemu: 'qemu-system-riscv', firmware: 'qemu-efi-riscv64' },
  type: 'virt',
  cpu: { kvm: 'host', tcg: 'rv64' },
  console: architectures.riscv64.console,
  devices: { ...pciDevices, ...panicDevice, tpm: 'tpm-tis-device' },
  firmware: plainFirmware('properties', [
    // Debian and Ubuntu
    {
      code: '/usr/share/qemu-efi-riscv64/RISCV_VIRT_CODE.fd',
      variables: '/usr/share/qemu-efi-riscv64/RISCV_VIRT_VARS.fd',
    },
    // Arch and Fedora
    {
      code: '/usr/share/edk2/riscv64/RISCV_VIRT_CODE.fd',
      variables: '/usr/share/edk2/riscv64/RISCV_VIRT_VARS.fd',
    },
    {
      code: '/usr/share/edk2/riscv/RISCV_VIRT_CODE.fd',
      variables: '/usr/share/edk2/riscv/RISCV_VIRT_VARS.fd',
    },
  ]),
  channels: { smbios: 'firmware', fwCfg: true, commandLine: 1024 },
  kvm: { hosts: ['riscv64'], probe: false },
};
