import { architectures } from '../../distro/architectures/index.ts';
import type { Machine } from './machine.ts';

/**
 * A mainframe partition whose devices are on channel subsystems (ccw). QEMU's own loader reads the boot map that mkimg
 * writes; a panic ends in a disabled wait state, which QEMU sees without a device.
 */
export const s390x: Machine = {
  architecture: 's390x',
  program: 'qemu-system-s390x',
  packages: { qemu: 'qemu-system-s390x' },
  type: 's390-ccw-virtio',
  cpu: { kvm: 'host', tcg: 'max' },
  console: architectures.s390x.console,
  devices: {
    block: 'virtio-blk-ccw',
    scsi: 'virtio-scsi-ccw',
    network: 'virtio-net-ccw',
    serialBus: 'virtio-serial-ccw',
    random: 'virtio-rng-ccw',
    sharedDirectory: 'vhost-user-fs-ccw',
    display: 'virtio-gpu-ccw',
    input: ['virtio-keyboard-ccw', 'virtio-tablet-ccw'],
    vsock: 'vhost-vsock-ccw',
  },
  channels: { smbios: 'never', fwCfg: false, commandLine: 4096 },
  kvm: { hosts: ['s390x'], probe: false },
};
