import type { ArchitectureName } from '../../distro/architectures/index.ts';
import { arm } from './arm.ts';
import { arm64 } from './arm64.ts';
import { loongarch64 } from './loongarch64.ts';
import type { Machine } from './machine.ts';
import { ppc64_le } from './ppc64-le.ts';
import { riscv64 } from './riscv64.ts';
import { s390x } from './s390x.ts';
import { x86 } from './x86.ts';
import { x86_64 } from './x86-64.ts';

/** The machine for each architecture. */
export const machines: Readonly<Record<ArchitectureName, Machine>> = {
  'x86-64': x86_64,
  x86,
  arm64,
  arm,
  riscv64,
  'ppc64-le': ppc64_le,
  s390x,
  loongarch64,
};

export function machineFor(architecture: ArchitectureName): Machine {
  return machines[architecture];
}
