import { architectures } from '../../distro/architectures/index.ts';
import type { Machine } from './machine.ts';
import { panicDevice, pciDevices } from './pci.ts';

/** PC with the Q35 chipset and edk2's OVMF firmware. */
export const x86_64: Machine = {
  architecture: 'x86-64',
  program: 'qemu-system-x86_64',
  packages: { qemu: 'qemu-system-x86', firmware: 'ovmf' },
  type: 'q35',
  cpu: { kvm: 'host', tcg: 'max' },
  console: architectures['x86-64'].console,
  devices: { ...pciDevices, ...panicDevice, display: 'virtio-vga', tpm: 'tpm-crb' },
  firmware: {
    flash: 'drives',
    plain: [
      // Debian and Ubuntu
      { code: '/usr/share/OVMF/OVMF_CODE_4M.fd', variables: '/usr/share/OVMF/OVMF_VARS_4M.fd' },
      // Arch
      {
        code: '/usr/share/edk2/x64/OVMF_CODE.4m.fd',
        variables: '/usr/share/edk2/x64/OVMF_VARS.4m.fd',
      },
      // openSUSE
      {
        code: '/usr/share/qemu/ovmf-x86_64-4m-code.bin',
        variables: '/usr/share/qemu/ovmf-x86_64-4m-vars.bin',
      },
      // Fedora
      { code: '/usr/share/edk2/ovmf/OVMF_CODE.fd', variables: '/usr/share/edk2/ovmf/OVMF_VARS.fd' },
    ],
    secureBoot: [
      {
        code: '/usr/share/OVMF/OVMF_CODE_4M.secboot.fd',
        variables: '/usr/share/OVMF/OVMF_VARS_4M.fd',
        microsoft: '/usr/share/OVMF/OVMF_VARS_4M.ms.fd',
      },
      {
        code: '/usr/share/edk2/x64/OVMF_CODE.secboot.4m.fd',
        variables: '/usr/share/edk2/x64/OVMF_VARS.4m.fd',
      },
      {
        code: '/usr/share/qemu/ovmf-x86_64-smm-code.bin',
        variables: '/usr/share/qemu/ovmf-x86_64-smm-vars.bin',
        microsoft: '/usr/share/qemu/ovmf-x86_64-smm-ms-vars.bin',
      },
      {
        code: '/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd',
        variables: '/usr/share/edk2/ovmf/OVMF_VARS.fd',
        microsoft: '/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd',
      },
    ],
    // Variables may only be written from system management mode, else the guest could switch Secure Boot off. With S3
    // sleep the firmware would have to keep its state in guest memory.
    secureBootMachineOptions: 'smm=on',
    secureBootArguments: [
      ['-global', 'driver=cfi.pflash01,property=secure,value=on'],
      ['-global', 'ICH9-LPC.disable_s3=1'],
    ].flat(),
  },
  channels: { smbios: 'always', fwCfg: true, commandLine: 2048 },
  kvm: { hosts: ['x86-64'], cpuFlags: ['vmx', 'svm'], probe: true },
};
