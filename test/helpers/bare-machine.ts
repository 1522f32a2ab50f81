import type { HostPath } from '../../src/base/brand.ts';
import { x86_64 } from '../../src/qemu/machines/x86-64.ts';
import type { VmRequest } from '../../src/qemu/vm.ts';

/** The smallest machine that starts from a disk, in software. */
export function bareMachine(disk: HostPath, changes: Partial<VmRequest> = {}): VmRequest {
  return {
    machine: x86_64,
    accelerator: 'tcg',
    cpus: 1,
    memory: 64 * 2 ** 20,
    commandLine: [],
    disks: [{ id: 'mkimg', path: disk, device: 'virtio-blk', discardWrites: true, bootIndex: 1 }],
    credentials: [],
    console: 'none',
    ports: [],
    network: 'none',
    tpm: false,
    endOnRestart: true,
    extraArguments: [],
    extraMounts: [],
    ...changes,
  };
}
