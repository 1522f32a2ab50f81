import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { isOfFullDisk, MkimgError } from '../base/errors.ts';
import { bufferSource, openSource } from '../formats/bytes.ts';
import type { InitrdEncoding, InitrdFault, InitrdSegment } from '../formats/initrd.ts';
import type { Sandbox, ToolNeed } from '../sandbox/types.ts';
import type { UnpackedSegment } from './contents.ts';

/** Segments with their archives; the files behind them are closed at the end of the scope (`using`). */
export interface UnpackedInitrd extends Disposable {
  readonly segments: readonly UnpackedSegment[];
  /** Of segments that cannot be unpacked; their archives are empty. */
  readonly faults: readonly InitrdFault[];
}

/** Programs that unpack one segment from standard input to standard output. */
const decompressors: Readonly<Record<Exclude<InitrdEncoding, 'none'>, readonly [string, ...string[]]>> = {
  zstd: ['zstd', '-q', '-d', '-c'],
  xz: ['xz', '-q', '-d', '-c', '--single-stream'],
  gzip: ['gzip', '-q', '-d', '-c'],
  lz4: ['lz4', '-q', '-d', '-c'],
  bzip2: ['bzip2', '-q', '-d', '-c'],
  lzma: ['xz', '-q', '-d', '-c', '--format=lzma'],
  lzo: ['lzop', '-q', '-d', '-c'],
};

/** What it takes to unpack these segments. */
export function unpackingNeeds(segments: readonly InitrdSegment[]): readonly ToolNeed[] {
  const encodings = new Set(segments.map(({ encoding }) => encoding));
  return [...encodings].flatMap((encoding) =>
    encoding === 'none'
      ? []
      : [{ tool: decompressors[encoding][0], reason: `unpacking a part compressed with ${encoding}` }],
  );
}

export interface UnpackRequest {
  readonly initrd: HostPath;
  readonly segments: readonly InitrdSegment[];
  /** Takes the unpacked archives; must outlive the result. */
  readonly scratch: HostPath;
  readonly sandbox: Sandbox;
}

/**
 * Unpacks the compressed segments of an initrd. Its content is hostile: the programs run in the sandbox and see nothing
 * but the segment.
 */
export async function unpackInitrd(request: UnpackRequest): Promise<UnpackedInitrd> {
  const opened: Disposable[] = [];
  const close = (): void => opened.forEach((source) => source[Symbol.dispose]());
  try {
    const segments: UnpackedSegment[] = [];
    const faults: InitrdFault[] = [];
    for (const [index, segment] of request.segments.entries()) {
      const isRaw = segment.encoding === 'none';
      const file = isRaw ? request.initrd : await orFault(unpackSegment(request, { segment, index }));
      if (typeof file !== 'string') {
        faults.push({ ...file, offset: segment.offset });
        segments.push({ ...segment, archive: bufferSource(Buffer.alloc(0)), start: 0 });
        continue;
      }
      const archive = openSource(file);
      opened.push(archive);
      segments.push({ ...segment, archive, start: isRaw ? segment.offset : 0 });
    }
    return { segments, faults, [Symbol.dispose]: close };
  } catch (error) {
    close();
    throw error;
  }
}

/** What a program says of damaged data is a fault of the initrd, and not of the machine. */
async function orFault(unpacked: Promise<HostPath>): Promise<HostPath | InitrdFault> {
  try {
    return await unpacked;
  } catch (error) {
    if (!(error instanceof MkimgError) || error.code !== 'tool-failed' || isOfFullDisk(error)) throw error;
    const words = error.tail.at(-1)?.trim();
    return { severity: 'error', message: `it cannot be unpacked${words === undefined ? '' : `: ${words}`}` };
  }
}

async function unpackSegment(
  { initrd, scratch, sandbox }: UnpackRequest,
  { segment, index }: { readonly segment: InitrdSegment; readonly index: number },
): Promise<HostPath> {
  const { encoding } = segment;
  if (encoding === 'none') throw new Error('internal: nothing to unpack');
  const packed = hostPath(join(scratch, `${index}.packed`));
  const unpacked = hostPath(join(scratch, `${index}.cpio`));
  await copyRange(initrd, packed, segment);
  const [tool, ...argv] = decompressors[encoding];
  const input = '/input/segment';
  await sandbox.run({
    tool,
    argv: [...argv, input],
    mounts: [{ source: packed, target: input, mode: 'ro' }],
    stdout: { file: unpacked },
    purpose: `unpacking part ${index + 1} of the initrd`,
  });
  return unpacked;
}

async function copyRange(
  source: HostPath,
  target: HostPath,
  { offset, size }: Pick<InitrdSegment, 'offset' | 'size'>,
): Promise<void> {
  await using input = await open(source, 'r');
  await using output = await open(target, 'wx');
  const buffer = Buffer.allocUnsafe(1 << 20);
  for (let done = 0; done < size;) {
    const wanted = Math.min(buffer.length, size - done);
    const { bytesRead } = await input.read(buffer, 0, wanted, offset + done);
    if (bytesRead === 0) return;
    await output.appendFile(buffer.subarray(0, bytesRead));
    done += bytesRead;
  }
}
