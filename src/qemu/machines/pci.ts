import type { Machine } from './machine.ts';

/** Virtio devices on a PCI bus, which all machines have but those for s390x. */
export const pciDevices = {
  block: 'virtio-blk-pci',
  scsi: 'virtio-scsi-pci',
  // romfile=: boot ROMs for networks are a package of their own, and nothing here boots from the network.
  network: 'virtio-net-pci,romfile=',
  serialBus: 'virtio-serial-pci',
  random: 'virtio-rng-pci',
  sharedDirectory: 'vhost-user-fs-pci',
  display: 'virtio-gpu-pci',
  input: ['qemu-xhci', 'usb-kbd', 'usb-tablet'],
  vsock: 'vhost-vsock-pci',
} as const satisfies Machine['devices'];

/** The device through which kernels tell of a panic where the platform has no way of its own. */
export const panicDevice = { panic: 'pvpanic-pci' } as const;

/** Firmware without Secure Boot only: no distribution packages another for these machines, or QEMU has no flash that resists. */
export function plainFirmware(
  flash: 'drives' | 'properties',
  plain: NonNullable<Machine['firmware']>['plain'],
): NonNullable<Machine['firmware']> {
  return { flash, plain, secureBoot: [], secureBootMachineOptions: '', secureBootArguments: [] };
}
