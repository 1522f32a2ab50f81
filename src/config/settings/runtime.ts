import { quotedList, spaceList } from '../codecs/collections.ts';
import { credentials, drives } from '../codecs/machine.ts';
import { boolean, enumeration, feature, integer, size } from '../codecs/scalars.ts';
import { constant, optionalSetting, setting, unset } from '../setting.ts';

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
  flags: { long: 'cpus' },
  oldNames: ['QemuSmp'],
  summary: 'CPUs of the virtual machine',
  doc: '0 stands for as many as the host has.',
});

export const RAM = setting({
  codec: size,
  fallback: constant(2 * 2 ** 30),
  scope: 'main',
  flags: { long: 'ram' },
  oldNames: ['QemuMem'],
  summary: 'Memory of the virtual machine',
  doc: 'Such as 512M or 4G.',
});

export const KVM = setting({
  codec: feature,
  fallback: constant('auto'),
  scope: 'main',
  flags: { long: 'kvm' },
  oldNames: ['QemuKvm'],
  summary: 'Use hardware virtualisation',
  doc: '`auto`: if it works here.',
});

export const TPM = setting({
  codec: feature,
  fallback: constant('auto'),
  scope: 'main',
  flags: { long: 'tpm' },
  oldNames: ['QemuSwtpm'],
  summary: 'Give the virtual machine a TPM',
  doc: '`auto`: if swtpm is there.',
});

export const Firmware = setting({
  codec: enumeration(['auto', 'linux', 'uefi', 'uefi-secure-boot'], { later: ['linux-noinitrd'] }),
  fallback: constant('auto'),
  scope: 'main',
  oldNames: ['QemuFirmware'],
  summary: 'How the virtual machine boots',
  doc: '`linux` starts the kernel directly; `auto` takes UEFI for disk images and the kernel for trees and archives.',
});

export const Ephemeral = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'main',
  summary: 'Boot a copy that is thrown away',
  doc: 'The image stays as it was built.',
});

export const Credentials = setting({
  codec: credentials,
  fallback: constant({}),
  scope: 'main',
  flags: { long: 'credential' },
  implicit: [{ suffix: '.credentials', type: 'directory', use: 'path' }],
  summary: 'Credentials for systemd in the virtual machine',
  doc: '`NAME=VALUE`, a file whose name is the name of the credential, or a directory of such files.',
});

export const KernelCommandLineExtra = setting({
  codec: spaceList,
  fallback: constant([]),
  scope: 'main',
  summary: 'Arguments for the kernel in the virtual machine',
  doc: 'They hold for this boot and are not built into the image.',
});

export const RuntimeSize = optionalSetting({
  codec: size,
  fallback: unset,
  scope: 'main',
  summary: 'Size that the disk is grown to before it boots',
  doc: 'Such as 8G.',
});

export const RuntimeNetwork = setting({
  codec: enumeration(['user', 'none'], { later: ['interface'] }),
  fallback: constant('user'),
  scope: 'main',
  summary: 'Network of the virtual machine',
  doc: '`user` reaches the outside through QEMU.',
});

export const Drives = setting({
  codec: drives,
  fallback: constant([]),
  scope: 'main',
  flags: { long: 'drive' },
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
