import { constants } from 'node:fs';
import { copyFile, mkdir, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { MkimgError } from '../base/errors.ts';
import type { ByteSource } from '../formats/bytes.ts';
import { openSource } from '../formats/bytes.ts';
import { paddingOf } from '../formats/newc.ts';
import { isNewc, readNewc } from '../formats/newc-reader.ts';
import type { OpenedFiles } from '../plan/step.ts';
import type { FileStep } from './implementation.ts';

/** One initrd for each kernel: common segments, then the kernel's own if it has one. */
export const joinInitrds: FileStep<'join-initrds'> = {
  output: 'files',
  version: 1,
  tools: [],
  async run({ segments, kernels, perKernel }, target, context) {
    const common = earlyFirst(segments.map((segment) => segment.path));
    await mkdir(target);
    for (const kernel of kernels.names) {
      context.signal.throwIfAborted();
      const version = kernel.replace(/\.vmlinuz$/, '');
      const own = perKernel === undefined ? [] : segmentsOf(perKernel, version);
      await concatenate([...common, ...own], join(target, `${version}.initrd`));
    }
    return undefined;
  },
};

/** The kernel's own segment: VERSION.cpio, VERSION.cpio.zst ... */
function segmentsOf({ directory, names }: OpenedFiles, version: string): readonly HostPath[] {
  const isOwn = (name: string): boolean =>
    name.startsWith(`${version}.cpio`) && /^(\.[a-z]+)?$/.test(name.slice(version.length + '.cpio'.length));
  return names.filter(isOwn).map((name) => hostPath(join(directory, name)));
}

/** The kernel looks for microcode and ACPI tables only in the uncompressed archives that come first. */
function earlyFirst(segments: readonly HostPath[]): readonly HostPath[] {
  const early = segments.filter(isEarly);
  return [...early, ...segments.filter((segment) => !early.includes(segment))];
}

function isEarly(segment: HostPath): boolean {
  using source = openSource(segment);
  return isEarlyArchive(source);
}

/** True for an uncompressed archive with kernel/x86/microcode or kernel/firmware/acpi in it. */
export function isEarlyArchive(source: ByteSource): boolean {
  if (!isNewc(source)) return false;
  for (const { path } of readNewc(source)) {
    const name = path.toString('latin1');
    if (/^kernel\/(x86\/microcode|firmware\/acpi)\/./.test(name)) return true;
    // In such an archive nothing else comes before; a whole initrd need not be read to its end.
    if (!/^(\.|kernel(\/.*)?|early_cpio)$/.test(name)) return false;
  }
  return false;
}

/** Copies the segments one after the other, each but the last padded with zeros to 4 bytes, where the next header must be. */
async function concatenate(segments: readonly HostPath[], target: string): Promise<void> {
  const [first, ...others] = segments;
  if (first === undefined) throw new Error('internal: no segments to join');
  await checkedSize(first);
  // The first one is the largest by far: the file system shares its blocks where it can.
  await copyFile(first, target, constants.COPYFILE_FICLONE);
  const output = await open(target, 'r+');
  try {
    let end = (await output.stat()).size;
    for (const segment of others) {
      const start = end + paddingOf(end, 4);
      await output.truncate(start);
      await appendFile(output, segment, start);
      end = start + (await checkedSize(segment));
    }
  } finally {
    await output.close();
  }
}

async function checkedSize(segment: HostPath): Promise<number> {
  const stats = await stat(segment);
  if (stats.isFile() && stats.size > 0) return stats.size;
  throw new MkimgError('bad-initrd', `${segment} is not an initrd: it is empty or no regular file`);
}

async function appendFile(
  output: Awaited<ReturnType<typeof open>>,
  segment: HostPath,
  start: number,
): Promise<void> {
  const input = await open(segment, 'r');
  try {
    const buffer = Buffer.allocUnsafe(1 << 20);
    for (let offset = start; ;) {
      const { bytesRead } = await input.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) return;
      await writeFully(output, buffer.subarray(0, bytesRead), offset);
      offset += bytesRead;
    }
  } finally {
    await input.close();
  }
}

async function writeFully(
  output: Awaited<ReturnType<typeof open>>,
  data: Buffer,
  position: number,
): Promise<void> {
  for (let done = 0; done < data.length;) {
    const { bytesWritten } = await output.write(data, done, data.length - done, position + done);
    done += bytesWritten;
  }
}
