/** Target architectures by the names that mkosi and systemd use (systemd.unit(5), ConditionArchitecture=). */
export const architectureNames = [
  'x86-64',
  'x86',
  'arm64',
  'arm',
  'riscv64',
  'ppc64-le',
  's390x',
  'loongarch64',
] as const;
export type ArchitectureName = (typeof architectureNames)[number];

/** Architectures that mkosi knows and mkimg cannot build for yet. */
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

export interface Architecture {
  /** Debian's name (dpkg --print-architecture). */
  readonly debian: string;
  /** EFI name as in BOOTX64.EFI and linuxx64.efi.stub; absent where there is no UEFI. */
  readonly efi?: string;
  /** Node's `process.arch`. */
  readonly node?: string;
  /** Kernel console of QEMU's machine. */
  readonly console: string;
}

export const architectures: Readonly<Record<ArchitectureName, Architecture>> = {
  'x86-64': { debian: 'amd64', efi: 'x64', node: 'x64', console: 'ttyS0' },
  x86: { debian: 'i386', efi: 'ia32', node: 'ia32', console: 'ttyS0' },
  arm64: { debian: 'arm64', efi: 'aa64', node: 'arm64', console: 'ttyAMA0' },
  arm: { debian: 'armhf', efi: 'arm', node: 'arm', console: 'ttyAMA0' },
  riscv64: { debian: 'riscv64', efi: 'riscv64', node: 'riscv64', console: 'ttyS0' },
  'ppc64-le': { debian: 'ppc64el', node: 'ppc64', console: 'hvc0' },
  s390x: { debian: 's390x', node: 's390x', console: 'ttysclp0' },
  loongarch64: { debian: 'loong64', efi: 'loongarch64', node: 'loong64', console: 'ttyS0' },
};

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
