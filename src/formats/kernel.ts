import type { KernelFormat } from '../distro/architectures/architecture.ts';
import { architectures } from '../distro/architectures/index.ts';
import type { ByteSource } from './bytes.ts';
import { peKind, readPe, readPeSection } from './pe.ts';

export interface KernelImage {
  readonly format: KernelFormat;
  /** Firmware can start it: it is a PE. */
  readonly efi: boolean;
}

interface Magic {
  readonly format: KernelFormat;
  readonly offset: number;
  readonly bytes: Buffer;
}

/** Numbers in the headers, from the boot protocol documents under Documentation/arch and file(1)'s table for s390x. */
const magics: readonly Magic[] = [
  { format: 'zboot', offset: 0x4, bytes: Buffer.from('zimg') },
  { format: 'bzimage', offset: 0x202, bytes: Buffer.from('HdrS') },
  { format: 'image', offset: 0x38, bytes: Buffer.from('ARM\x64') },
  { format: 'image', offset: 0x38, bytes: Buffer.from('RSC\x05') },
  { format: 'image', offset: 0x38, bytes: Buffer.from([0xcd, 0x23, 0x82, 0x81]) },
  { format: 'zimage', offset: 0x24, bytes: Buffer.from([0x18, 0x28, 0x6f, 0x01]) },
  { format: 's390', offset: 0x10008, bytes: Buffer.from('S390EP') },
  { format: 'gzip', offset: 0, bytes: Buffer.from([0x1f, 0x8b, 0x08]) },
];

/** Tells what kind of kernel image this is; undefined when it is none. */
export function detectKernel(source: ByteSource): KernelImage | undefined {
  const pe = readPe(source);
  if (pe !== undefined && peKind(source, pe) === 'uki') return { format: 'uki', efi: true };
  const magic = magics.find(({ offset, bytes }) => source.read(offset, bytes.length).equals(bytes));
  if (magic !== undefined) return { format: magic.format, efi: pe !== undefined };
  return isElfKernel(source) ? { format: 'elf', efi: false } : undefined;
}

const elfKernels = Object.values(architectures)
  .filter(({ kernel }) => kernel.formats.includes('elf'))
  .map(({ elf }) => elf);

/** Executable or shared object, of an architecture that boots an ELF. */
function isElfKernel(source: ByteSource): boolean {
  const header = source.read(0, 20);
  if (header.length < 20 || header.toString('latin1', 0, 4) !== '\x7fELF' || header[4] !== 2) return false;
  const littleEndian = header[5] === 1;
  const half = (offset: number): number =>
    littleEndian ? header.readUInt16LE(offset) : header.readUInt16BE(offset);
  return (half(16) === 2 || half(16) === 3) && elfKernels.some(({ machine }) => machine === half(18));
}

/**
 * The kernel's release (`uname -r`) as the image itself says it; undefined where it is packed inside compressed data.
 * Reads up to the whole file for uncompressed images.
 */
export function kernelRelease(source: ByteSource, format: KernelFormat): string | undefined {
  switch (format) {
    case 'bzimage':
      return releaseFromSetup(source);
    case 'uki': {
      const pe = readPe(source);
      const uname = pe === undefined ? undefined : readPeSection(source, pe, '.uname');
      return uname === undefined ? undefined : firstWord(uname);
    }
    case 'image':
    case 'elf':
      return releaseFromBanner(source);
    default:
      return undefined;
  }
}

const releaseLimit = 256;
const banner = Buffer.from('Linux version ');

/** x86's setup header points at a text (`kernel_version` of the boot protocol). */
function releaseFromSetup(source: ByteSource): string | undefined {
  const pointer = source.read(0x20e, 2);
  if (pointer.length < 2 || pointer.readUInt16LE(0) === 0) return undefined;
  return firstWord(source.read(pointer.readUInt16LE(0) + 0x200, releaseLimit));
}

/** Looks for `linux_banner` (init/version.c), which uncompressed images hold as text. */
function releaseFromBanner(source: ByteSource): string | undefined {
  const step = 4 << 20;
  for (let offset = 0; offset < source.size; offset += step) {
    const window = source.read(offset, step + banner.length + releaseLimit);
    for (let at = window.indexOf(banner); at >= 0 && at < step; at = window.indexOf(banner, at + 1)) {
      const start = at + banner.length;
      const release = firstWord(window.subarray(start, start + releaseLimit));
      if (release !== undefined && /^[0-9]/.test(release)) return release;
    }
  }
  return undefined;
}

function firstWord(text: Buffer): string | undefined {
  return /^[\x21-\x7e]+/.exec(text.toString('latin1'))?.[0];
}
