import type { Architecture } from './architecture.ts';
import { arm } from './arm.ts';
import { arm64 } from './arm64.ts';
import { loongarch64 } from './loongarch64.ts';
import { ppc64le } from './ppc64-le.ts';
import { riscv64 } from './riscv64.ts';
import { s390x } from './s390x.ts';
import { x86 } from './x86.ts';
import { x86_64 } from './x86-64.ts';

/** Target architectures by the names that mkosi and systemd use (systemd.unit(5), ConditionArchitecture=). */
const rows = {
  'x86-64': x86_64,
  x86,
  arm64,
  arm,
  riscv64,
  'ppc64-le': ppc64le,
  s390x,
  loongarch64,
} as const;
export type ArchitectureName = keyof typeof rows;

export const architectures: Readonly<Record<ArchitectureName, Architecture>> = rows;
export const architectureNames = Object.keys(rows) as readonly ArchitectureName[];

/** Architectures that mkosi knows and mkimg cannot build for. */
export const laterArchitectures = [
  'alpha',
  'arc',
  'ia64',
  'mips-le',
  'mips64-le',
  'parisc',
  'ppc',
  'ppc64',
  'riscv32',
  's390',
  'tilegx',
] as const;
export type KnownArchitecture = ArchitectureName | (typeof laterArchitectures)[number];

/** Firmware of the architecture can be UEFI. */
export function hasUefi(name: KnownArchitecture): boolean {
  const row = new Map<string, Architecture>(Object.entries(architectures)).get(name);
  return row === undefined ? name === 'riscv32' : row.efi !== undefined;
}

/** The architecture this process runs on. @throws Error when mkimg does not know it. */
export function nativeArchitecture(nodeArch: string = process.arch): ArchitectureName {
  const found = architectureNames.find((name) => architectures[name].node === nodeArch);
  if (found === undefined) throw new Error(`mkimg does not know this machine's architecture (${nodeArch})`);
  return found;
}

/** Programs of `target` run on a machine of this architecture without an emulator. */
export function isNative(target: ArchitectureName, machine: ArchitectureName): boolean {
  return target === machine || architectures[target].runsOn.includes(machine);
}
