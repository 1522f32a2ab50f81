import { architectures } from '../distro/architectures/index.ts';
import type { ByteSource } from './bytes.ts';

/** One section of a PE image; offsets and sizes in bytes. */
export interface PeSection {
  readonly name: string;
  readonly virtualAddress: number;
  readonly virtualSize: number;
  readonly rawOffset: number;
  readonly rawSize: number;
}

export interface PeImage {
  /** IMAGE_FILE_MACHINE_*, see `peMachines`. */
  readonly machine: number;
  /** 10: EFI application. */
  readonly subsystem: number;
  readonly sections: readonly PeSection[];
}

/** EFI's architecture names by PE machine number. */
export const peMachines: ReadonlyMap<number, string> = new Map(
  Object.values(architectures).flatMap(({ efi }) =>
    efi === undefined ? [] : efi.peMachines.map((machine) => [machine, efi.name] as const),
  ),
);

const coffHeaderSize = 24;
const sectionHeaderSize = 40;
/** UKIs have about a dozen sections; the loader of Windows takes 96. */
const maximumSections = 96;

/** Reads the headers of a PE image (Microsoft's "PE Format"); undefined when this is none. */
export function readPe(source: ByteSource): PeImage | undefined {
  const dos = source.read(0, 64);
  if (dos.length < 64 || dos.toString('latin1', 0, 2) !== 'MZ') return undefined;
  const start = dos.readUInt32LE(0x3c);
  const coff = source.read(start, coffHeaderSize);
  if (coff.length < coffHeaderSize || coff.toString('latin1', 0, 4) !== 'PE\0\0') return undefined;
  const count = coff.readUInt16LE(6);
  const optionalSize = coff.readUInt16LE(20);
  const optional = source.read(start + coffHeaderSize, optionalSize);
  const table = source.read(start + coffHeaderSize + optionalSize, count * sectionHeaderSize);
  if (count > maximumSections || table.length < count * sectionHeaderSize || optional.length < optionalSize)
    return undefined;
  return {
    machine: coff.readUInt16LE(4),
    subsystem: optional.length >= 70 ? optional.readUInt16LE(68) : 0,
    sections: Array.from({ length: count }, (_, index) => sectionAt(table, index * sectionHeaderSize)),
  };
}

function sectionAt(table: Buffer, offset: number): PeSection {
  return {
    name: table.toString('latin1', offset, offset + 8).replace(/\0.*$/s, ''),
    virtualSize: table.readUInt32LE(offset + 8),
    virtualAddress: table.readUInt32LE(offset + 12),
    rawSize: table.readUInt32LE(offset + 16),
    rawOffset: table.readUInt32LE(offset + 20),
  };
}

/** Content of the first section of this name, without the padding to the file's alignment. */
export function readPeSection(source: ByteSource, image: PeImage, name: string): Buffer | undefined {
  const section = image.sections.find((candidate) => candidate.name === name);
  if (section === undefined) return undefined;
  return source.read(section.rawOffset, Math.min(section.rawSize, section.virtualSize));
}

/** Version of systemd that a boot loader or stub of its own comes from, such as `257.13-1`; from its `.sdmagic`. */
export function systemdVersionOf(source: ByteSource, image: PeImage): string | undefined {
  const magic = readPeSection(source, image, '.sdmagic')?.toString('latin1') ?? '';
  return /LoaderInfo: systemd-\w+ (\S+)/.exec(magic)?.[1];
}

/** What a PE image is for, by its sections (systemd's src/shared/kernel-image.c; `.sdmagic` names systemd's own). */
export type PeKind = 'uki' | 'addon' | 'stub' | 'boot-loader' | 'other';

export function peKind(source: ByteSource, image: PeImage): PeKind {
  const has = (...names: readonly string[]): boolean =>
    names.some((name) => image.sections.some((section) => section.name === name));
  if (has('.linux') && has('.osrel')) return 'uki';
  const magic = readPeSection(source, image, '.sdmagic')?.toString('latin1') ?? '';
  if (magic.includes('systemd-boot')) return 'boot-loader';
  if (magic.includes('systemd-addon')) return has('.cmdline', '.dtb', '.ucode', '.initrd') ? 'addon' : 'stub';
  return magic.includes('systemd-stub') ? 'stub' : 'other';
}
