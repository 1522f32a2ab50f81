import { closeSync, constants, openSync, readSync } from 'node:fs';
import { MkimgError } from '../base/errors.ts';

/**
 * Writer of `newc` CPIO archives as the kernel reads them (Documentation/driver-api/early-userspace/buffer-format.rst and
 * init/initramfs.c). The same entries always give the same bytes.
 */

/** Bytes of a regular file, taken from a file of the host when they are written. */
export interface FileContent {
  readonly file: Buffer;
  readonly size: number;
  /** Where they begin in it; 0 where nothing is said. */
  readonly offset?: number;
}

export interface NewcEntry {
  /** Path without leading slash; any bytes but NUL. */
  readonly path: Buffer;
  /** File type and permissions as in stat(2). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970; clamped to 32 bits and to the writer's epoch. */
  readonly mtime: number;
  /** What a regular file holds, or where a symbolic link points to. */
  readonly content?: Buffer | FileContent;
  /** Numbers of a device node. */
  readonly device?: { readonly major: number; readonly minor: number };
  /** Set for a file with several names in this archive: `count` entries share the same `group`. */
  readonly links?: { readonly group: string; readonly count: number };
}

export interface NewcOptions {
  /** No entry is younger than this; seconds since 1970. */
  readonly epoch: number;
  /** The archive's length is a multiple of this. GNU cpio writes 512; 4 is what concatenation needs. Default 4. */
  readonly padTo?: number;
}

export const fileType = {
  mask: constants.S_IFMT,
  directory: constants.S_IFDIR,
  regular: constants.S_IFREG,
  symlink: constants.S_IFLNK,
  characterDevice: constants.S_IFCHR,
  blockDevice: constants.S_IFBLK,
  fifo: constants.S_IFIFO,
  socket: constants.S_IFSOCK,
} as const;

const chunkSize = 1 << 20;
const maximum32 = 0xffff_ffff;
/** PATH_MAX: the kernel skips an entry with a longer name without a word. */
const maximumNameSize = 4096;

/**
 * The archive in chunks of up to 1 MiB. Entries must come sorted by the bytes of their paths, each after its directory.
 * Of a file with several names the last one carries the data, as with GNU cpio.
 * @throws MkimgError `archive-file-too-large` for files of 4 GiB or more, `archive-name-too-long`, `file-changed`.
 */
export async function* writeNewc(
  entries: AsyncIterable<NewcEntry> | Iterable<NewcEntry>,
  options: NewcOptions,
): AsyncGenerator<Buffer> {
  const output = chunkedOutput();
  const inodes = inodeNumbers();
  const checkOrder = orderCheck();
  for await (const entry of entries) {
    checkOrder(entry);
    const numbering = inodes.next(entry);
    const content = numbering.carriesData ? entry.content : undefined;
    yield* output.bytes(
      headerOf(entry, { ...numbering, size: contentSize(entry, content), epoch: options.epoch }),
    );
    yield* output.bytes(entry.path);
    yield* output.zeros(1 + paddingOf(110 + entry.path.length + 1, 4));
    if (content !== undefined) yield* contentOf(output, content);
  }
  inodes.finish();
  yield* output.bytes(Buffer.from(trailer));
  yield* output.zeros(paddingOf(output.total(), options.padTo ?? 4));
  yield* output.rest();
}

const trailerName = 'TRAILER!!!';
const trailer = `${header([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, trailerName.length + 1])}${trailerName}\0\0\0\0`;

/** The thirteen fields but the magic and the last one, which only the `crc` variant uses. */
function header(fields: readonly number[]): string {
  let text = '070701';
  for (const field of fields) text += field.toString(16).padStart(8, '0');
  return text + '00000000';
}

interface Numbering {
  readonly inode: number;
  readonly nlink: number;
}

function headerOf(
  entry: NewcEntry,
  numbers: Numbering & { readonly size: number; readonly epoch: number },
): Buffer {
  const nameSize = entry.path.length + 1;
  if (nameSize > maximumNameSize)
    throw new MkimgError(
      'archive-name-too-long',
      `path of ${entry.path.length} bytes does not fit into a CPIO archive: ${show(entry.path)}`,
      { hint: 'The kernel takes names of at most 4095 bytes.' },
    );
  const { major, minor } = entry.device ?? { major: 0, minor: 0 };
  const mtime = Math.max(0, Math.min(Math.floor(entry.mtime), options32(numbers.epoch)));
  const text = header([
    ...[numbers.inode, entry.mode, entry.uid, entry.gid, numbers.nlink, mtime, numbers.size],
    ...[0, 0, major, minor, nameSize],
  ]);
  return Buffer.from(text, 'latin1');
}

function options32(epoch: number): number {
  return Math.min(epoch, maximum32);
}

function contentSize(entry: NewcEntry, content: Buffer | FileContent | undefined): number {
  if (content === undefined) return 0;
  const size = Buffer.isBuffer(content) ? content.length : content.size;
  if (size > maximum32)
    throw new MkimgError(
      'archive-file-too-large',
      `${show(entry.path)} has ${size} bytes; a file in a CPIO archive must be smaller than 4 GiB`,
      { hint: 'Leave the file out of the image (RemoveFiles=), or choose another output format.' },
    );
  return size;
}

/** Numbers files in the order in which they come, so that the tree's own inode numbers never show. */
function inodeNumbers(): {
  next(entry: NewcEntry): Numbering & { readonly carriesData: boolean };
  finish(): void;
} {
  let last = 0;
  const open = new Map<string, { readonly inode: number; missing: number }>();
  return {
    next(entry) {
      if (entry.links === undefined) {
        const nlink = (entry.mode & fileType.mask) === fileType.directory ? 2 : 1;
        return { inode: ++last, nlink, carriesData: true };
      }
      const { group, count } = entry.links;
      const file = open.get(group) ?? { inode: ++last, missing: count };
      file.missing -= 1;
      if (file.missing > 0) open.set(group, file);
      else open.delete(group);
      return { inode: file.inode, nlink: count, carriesData: file.missing === 0 };
    },
    finish() {
      if (open.size > 0) throw new Error('internal: fewer links of a file than announced');
    },
  };
}

/** The kernel makes no missing directories, and a sorted archive is the same wherever it is made. */
function orderCheck(): (entry: NewcEntry) => void {
  const directories = new Set<string>();
  let previous: Buffer = Buffer.alloc(0);
  return ({ path, mode }) => {
    if (path.length === 0 || path[0] === 0x2f || path.includes(0))
      throw new Error(`internal: not a path for an archive: ${show(path)}`);
    if (Buffer.compare(previous, path) >= 0)
      throw new Error(`internal: ${show(path)} after ${show(previous)} in an archive`);
    const slash = path.lastIndexOf(0x2f);
    if (slash >= 0 && !directories.has(path.toString('latin1', 0, slash)))
      throw new Error(`internal: ${show(path)} before its directory in an archive`);
    if ((mode & fileType.mask) === fileType.directory) directories.add(path.toString('latin1'));
    previous = path;
  };
}

type Chunks = Generator<Buffer, void>;

interface ChunkedOutput {
  bytes(data: Buffer): Chunks;
  zeros(count: number): Chunks;
  /** `length` bytes that `read` puts straight into the chunk; `read` answers how many it put. */
  filled(length: number, read: (target: Buffer) => number): Chunks;
  rest(): Chunks;
  total(): number;
}

function chunkedOutput(): ChunkedOutput {
  let chunk = Buffer.allocUnsafeSlow(chunkSize);
  let used = 0;
  let before = 0;
  function* flushIfFull(): Chunks {
    if (used < chunkSize) return;
    before += used;
    yield chunk;
    chunk = Buffer.allocUnsafeSlow(chunkSize);
    used = 0;
  }
  function* filled(length: number, read: (target: Buffer) => number): Chunks {
    for (let done = 0; done < length;) {
      yield* flushIfFull();
      const count = read(chunk.subarray(used, used + length - done));
      done += count;
      used += count;
    }
  }
  return {
    filled,
    *bytes(data) {
      let offset = 0;
      yield* filled(data.length, (target) => {
        const count = data.copy(target, 0, offset);
        offset += count;
        return count;
      });
    },
    zeros: (count) => filled(count, (target) => target.fill(0).length),
    *rest() {
      before += used;
      if (used > 0) yield chunk.subarray(0, used);
      used = 0;
    },
    total: () => before + used,
  };
}

function* contentOf(output: ChunkedOutput, content: Buffer | FileContent): Chunks {
  if (Buffer.isBuffer(content)) {
    yield* output.bytes(content);
    yield* output.zeros(paddingOf(content.length, 4));
    return;
  }
  if (content.size === 0) return;
  // Synchronous reads: a promise for each of some thousand small files costs more than the reading.
  const descriptor = openSync(content.file, constants.O_RDONLY | constants.O_NOFOLLOW);
  let position = content.offset ?? 0;
  try {
    yield* output.filled(content.size, (target) => {
      const count = readSync(descriptor, target, 0, target.length, position);
      position += count;
      if (count === 0)
        throw new MkimgError('file-changed', `${show(content.file)} shrank while it was packed`);
      return count;
    });
  } finally {
    closeSync(descriptor);
  }
  yield* output.zeros(paddingOf(content.size, 4));
}

/** Bytes that are missing to the next multiple of `alignment`. */
export function paddingOf(length: number, alignment: number): number {
  return (alignment - (length % alignment)) % alignment;
}

function show(path: Buffer): string {
  return JSON.stringify(path.toString('utf8'));
}
