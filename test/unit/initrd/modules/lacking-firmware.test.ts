import { expect, it } from 'vitest';
import { hostPath, treePath } from '../../../../src/base/brand.ts';
import { driversWithoutFirmware } from '../../../../src/initrd/modules/lacking-firmware.ts';
import type { InitrdFirmware, InitrdModule } from '../../../../src/initrd/modules/select.ts';
import type { ModuleReason } from '../../../../src/steps/kernel-modules/closure.ts';

function module(name: string, reason: ModuleReason): InitrdModule {
  const path = `kernel/${name}.ko`;
  const file = { path: hostPath(`/${path}`), size: 1, mtime: 0, changed: '' };
  return { ...file, module: { name, path, dependencies: [] }, reasons: [reason] };
}

const device = { kind: 'modalias', modalias: 'pci:v1', device: 'devices/pci0' } as const;
const there: InitrdFirmware = {
  path: treePath('usr/lib/firmware/a.bin'),
  item: { kind: 'link', target: 'b.bin' },
  requestedBy: ['served'],
};

it('names drivers of devices that find none of their firmware', () => {
  const lacking = driversWithoutFirmware({
    modules: [
      module('qla2xxx', device),
      module('served', device),
      module('content', device),
      module('moved', { kind: 'survives', what: 'disks' }),
    ],
    firmware: [there],
    missingFirmware: [
      { name: 'old.bin', requestedBy: ['served'] },
      { name: 'ql2500_fw.bin', requestedBy: ['moved', 'qla2xxx'] },
    ],
  });
  expect(lacking).toEqual([{ module: 'qla2xxx', firmware: ['ql2500_fw.bin'] }]);
});
