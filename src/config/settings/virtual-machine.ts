import { quotedList } from '../codecs/collections.ts';
import { drives, vsockCid } from '../codecs/machine.ts';
import { pathOr } from '../codecs/paths.ts';
import { boolean, enumeration, feature, integer, size, text } from '../codecs/scalars.ts';
import { constant, optionalSetting, setting, unset } from '../setting.ts';
import { firmwares } from './values.ts';

export const VirtualMachineMonitor = setting({
  codec: enumeration(['qemu'], { later: ['vmspawn'] }),
  fallback: constant('qemu'),
  scope: 'main',
  flags: { long: 'vmm' },
  summary: 'Program that runs the virtual machine',
  doc: `\`qemu\` directly, or \`vmspawn\` for systemd-vmspawn.`,
});

export const Console = setting({
  codec: enumeration(['interactive', 'read-only', 'native', 'gui', 'headless']),
  fallback: constant('native'),
  scope: 'main',
  summary: "The virtual machine's console",
  doc: '`native` connects the terminal to the console, `gui` opens a window, `headless` shows nothing.',
});

export const CPUs = setting({
  codec: integer({ maximum: 4096 }),
  fallback: constant(1),
  scope: 'main',
  flags: { long: 'cpus', oldLongs: ['qemu-smp'] },
  oldNames: ['QemuSmp'],
  summary: 'CPUs of the virtual machine',
  doc: '0 stands for as many as the host has.',
});

export const RAM = setting({
  codec: size,
  fallback: constant(2 * 2 ** 30),
  scope: 'main',
  flags: { long: 'ram', oldLongs: ['qemu-mem'] },
  oldNames: ['QemuMem'],
  summary: 'Memory of the virtual machine',
  doc: 'Such as 512M or 4G.',
});

export const MaxMem = optionalSetting({
  codec: size,
  fallback: unset,
  scope: 'main',
  flags: { long: 'maxmem' },
  summary: 'Memory that the virtual machine can grow to',
  doc: `Room for memory that is plugged in while it runs.`,
});

export const KVM = setting({
  codec: feature,
  fallback: constant('auto'),
  scope: 'main',
  flags: { long: 'kvm', oldLongs: ['qemu-kvm'] },
  oldNames: ['QemuKvm'],
  summary: 'Use hardware virtualisation',
  doc: '`auto`: if it works here.',
});

export const CXL = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'main',
  flags: { long: 'cxl' },
  summary: 'Give the virtual machine CXL',
  doc: `Compute Express Link, on machines of x86-64 and arm64.`,
});

export const VSock = setting({
  codec: feature,
  fallback: constant('auto'),
  scope: 'main',
  flags: { long: 'vsock', oldLongs: ['qemu-vsock'] },
  oldNames: ['QemuVsock'],
  summary: 'Give the virtual machine a vsock(7) device',
  doc: `\`auto\`: if the host has /dev/vhost-vsock.`,
});

export const VSockCID = setting({
  codec: vsockCid,
  fallback: constant('auto'),
  scope: 'main',
  flags: { long: 'vsock-cid', oldLongs: ['qemu-vsock-cid'] },
  oldNames: ['QemuVsockConnectionId'],
  summary: 'Address of the virtual machine on the vsock(7) of the host',
  doc: `A number from 3 on, \`auto\` for one that is free, \`hash\` for one that follows from the name of the image.`,
});

export const TPM = setting({
  codec: feature,
  fallback: constant('auto'),
  scope: 'main',
  flags: { long: 'tpm', oldLongs: ['qemu-swtpm'] },
  oldNames: ['QemuSwtpm'],
  summary: 'Give the virtual machine a TPM',
  doc: '`auto`: if swtpm is there.',
});

export const Removable = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'main',
  flags: { oldLongs: ['qemu-removable'] },
  oldNames: ['QemuRemovable'],
  summary: 'Make the disk look like one that can be removed',
  doc: `For trying out installation media. The disk is then a SCSI disk.`,
});

export const DiskType = setting({
  codec: enumeration(['virtio-blk', 'virtio-scsi', 'nvme', 'scsi-cd']),
  fallback: constant('virtio-blk'),
  scope: 'main',
  summary: 'Kind of disk that the image is in the virtual machine',
  doc: `\`scsi-cd\` boots the image as an optical medium; see ElTorito=.`,
});

export const Firmware = setting({
  codec: enumeration(firmwares),
  fallback: constant('auto'),
  scope: 'main',
  flags: { oldLongs: ['qemu-firmware'] },
  oldNames: ['QemuFirmware'],
  summary: 'How the virtual machine boots',
  doc: `\`linux\` starts the kernel directly, \`linux-noinitrd\` without an initrd; \`bios\` is for disk images with
BiosBootloader=; \`auto\` takes UEFI for disk images, where the architecture has it, and the kernel for trees and archives.`,
});

export const FirmwareVariables = optionalSetting({
  codec: pathOr({ custom: 'custom', microsoft: 'microsoft', 'microsoft-mok': 'microsoft-mok' }),
  fallback: unset,
  scope: 'main',
  flags: { oldLongs: ['qemu-firmware-variables'] },
  oldNames: ['QemuFirmwareVariables'],
  summary: 'Variables that the firmware begins with',
  doc: `\`microsoft\` trusts the keys of Microsoft, \`custom\` SecureBootCertificate=, \`microsoft-mok\` those of Microsoft, and makes
shim trust the certificate; or a file of variables, which is not changed itself. Secure Boot needs Firmware=uefi-secure-boot; without
keys it is in setup mode, and lets everything boot. What firmware and TPM remember is lost with the machine.`,
});

export const Linux = optionalSetting({
  codec: text,
  fallback: unset,
  scope: 'main',
  effect: 'later',
  flags: { oldLongs: ['qemu-kernel'] },
  oldNames: ['QemuKernel'],
  summary: 'Kernel to start directly',
  doc: `A path. \`&b\` stands for BuildDirectory=, below which a kernel may just have been built.`,
});

export const Drives = setting({
  codec: drives,
  fallback: constant([]),
  scope: 'main',
  flags: { long: 'drive', oldLongs: ['qemu-drive'] },
  oldNames: ['QemuDrives'],
  summary: 'Further disks of the virtual machine',
  doc: 'Items are `id:size[:directory[:options[:fileid[:flags]]]]`.',
});

export const QemuArgs = setting({
  codec: quotedList,
  fallback: constant([]),
  scope: 'main',
  summary: 'Further arguments for QEMU',
  doc: 'Quoted as in a shell.',
});
