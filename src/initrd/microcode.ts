import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath, treePath } from '../base/brand.ts';
import { byBytes } from '../base/canonical.ts';
import { isErrno, MkimgError } from '../base/errors.ts';
import { segmentEntries } from '../steps/kernel-modules/segment.ts';
import type { NewcEntry } from '../formats/newc.ts';
import { treeAt } from '../sandbox/tree.ts';

/** A processor as microcode files name it; the numbers of /proc/cpuinfo. */
export interface Processor {
  readonly vendor: string;
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
}

/** The first processor of /proc/cpuinfo; undefined where it is none that takes microcode. */
export function parseProcessor(cpuinfo: string): Processor | undefined {
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}\\s*:\\s*(.*)$`, 'm').exec(cpuinfo)?.[1];
  const vendor = field('vendor_id');
  const [family, model, stepping] = [field('cpu family'), field('model'), field('stepping')].map(Number);
  if (vendor === undefined || !(vendor in vendors)) return undefined;
  if (family === undefined || model === undefined || stepping === undefined) return undefined;
  return Number.isNaN(family + model + stepping) ? undefined : { vendor, family, model, stepping };
}

interface Vendor {
  /** Below usr/lib/firmware. */
  readonly directory: string;
  /** What the kernel looks for; see Documentation/arch/x86/microcode.rst. */
  readonly member: string;
  isMicrocode(name: string): boolean;
  /** Names of the files, without suffixes, that hold the processor's microcode. */
  filesOf(processor: Processor): readonly string[];
}

/** Debian marks Intel files for early loading only with `.initramfs`. */
const vendors: Readonly<Record<string, Vendor>> = {
  GenuineIntel: {
    directory: 'usr/lib/firmware/intel-ucode',
    member: 'kernel/x86/microcode/GenuineIntel.bin',
    isMicrocode: (name) => /^[0-9a-f]{2}-[0-9a-f]{2}-[0-9a-f]{2}(?:\.initramfs)?$/.test(name),
    filesOf: ({ family, model, stepping }) => {
      const name = [family, model, stepping].map((part) => part.toString(16).padStart(2, '0')).join('-');
      return [name, `${name}.initramfs`];
    },
  },
  AuthenticAMD: {
    directory: 'usr/lib/firmware/amd-ucode',
    member: 'kernel/x86/microcode/AuthenticAMD.bin',
    isMicrocode: (name) => /^microcode_amd(?:_fam[0-9a-f]{2}h)?\.bin$/.test(name),
    // Families up to 14h share the file without a number (amd-ucode/README of linux-firmware).
    filesOf: ({ family }) =>
      family < 0x15
        ? ['microcode_amd.bin']
        : [`microcode_amd_fam${family.toString(16).padStart(2, '0')}h.bin`],
  },
};

/** A file of microcode. */
export interface MicrocodeFile {
  readonly path: HostPath;
  readonly member: string;
}

/** Where microcode is kept, for telling whether there is another. */
export const microcodeDirectories: readonly string[] = Object.values(vendors).map(
  ({ directory }) => directory,
);

/**
 * The files of microcode below a root: those of one processor or, without one, all. Sorted, so that they come in the same
 * order from every file system.
 */
export async function microcodeFiles(
  root: HostPath,
  processor: Processor | undefined,
): Promise<readonly MicrocodeFile[]> {
  const files: MicrocodeFile[] = [];
  for (const [name, vendor] of Object.entries(vendors)) {
    if (processor !== undefined && processor.vendor !== name) continue;
    const wanted = processor === undefined ? undefined : vendor.filesOf(processor);
    const directory = await treeAt(root).resolve(treePath(vendor.directory));
    for (const file of (await namesOf(directory)).sort(byBytes)) {
      const plain = file.replace(/\.(?:xz|zst|gz)$/, '');
      if (!vendor.isMicrocode(plain)) continue;
      if (wanted !== undefined && !wanted.includes(plain)) continue;
      files.push({ path: hostPath(join(directory, file)), member: vendor.member });
    }
  }
  return files;
}

async function namesOf(directory: HostPath): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

/**
 * The archive that the kernel reads before it has a decompressor: it is not compressed, and so must its members not be.
 * @param unpack takes the compression off a file whose name says that it has one
 */
export async function microcodeEntries(
  files: readonly MicrocodeFile[],
  { epoch, unpack }: { readonly epoch: number; readonly unpack: (file: HostPath) => Promise<Buffer> },
): Promise<readonly NewcEntry[]> {
  const members = new Map<string, Buffer[]>();
  for (const { path, member } of files) {
    const content = /\.(?:xz|zst|gz)$/.test(path) ? await unpack(path) : await readFile(path);
    if (content.length === 0) throw new MkimgError('bad-firmware', `The microcode file ${path} is empty.`);
    members.set(member, [...(members.get(member) ?? []), content]);
  }
  const items = [...members].map(
    ([member, contents]) =>
      [treePath(member), { kind: 'file', content: Buffer.concat(contents), mtime: epoch }] as const,
  );
  return segmentEntries(new Map(items), epoch);
}
