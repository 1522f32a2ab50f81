import { architectures } from '../../distro/architectures/index.ts';
import type { Machine } from './machine.ts';
import { plainFirmware } from './pci.ts';
import { x86_64 } from './x86-64.ts';

/**
 * The same PC with 32-bit firmware, which starts BOOTIA32.EFI. Its processor has 64 bits, because Debian has 64-bit kernels
 * only: they run the system's 32-bit programs.
 */
export const x86: Machine = {
  ...x86_64,
  architecture: 'x86',
  packages: { qemu: 'qemu-system-x86', firmware: 'ovmf-ia32' },
  console: architectures.x86.console,
  firmware: plainFirmware('drives', [
    // Debian and Ubuntu; the build without Secure Boot has gone from newer releases.
    { code: '/usr/share/OVMF/OVMF32_CODE_4M.fd', variables: '/usr/share/OVMF/OVMF32_VARS_4M.fd' },
    { code: '/usr/share/OVMF/OVMF32_CODE_4M.secboot.fd', variables: '/usr/share/OVMF/OVMF32_VARS_4M.fd' },
    // Arch
    { code: '/usr/share/edk2/ia32/OVMF_CODE.4m.fd', variables: '/usr/share/edk2/ia32/OVMF_VARS.4m.fd' },
    // Fedora
    { code: '/usr/share/edk2/ovmf-ia32/OVMF_CODE.fd', variables: '/usr/share/edk2/ovmf-ia32/OVMF_VARS.fd' },
  ]),
  kvm: { ...x86_64.kvm, hosts: ['x86', 'x86-64'] },
};
