import { lstatSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath, TreePath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import type { Json } from '../../base/canonical.ts';
import { canonicalJson, sha256 } from '../../base/canonical.ts';
import { compressionSuffixOf } from '../../formats/kmod.ts';
import { paddingOf, writeNewc } from '../../formats/newc.ts';
import { compressFile } from '../../steps/compression.ts';
import type { BuildContext } from '../../steps/implementation.ts';
import type { SegmentItem } from '../../steps/kernel-modules/segment.ts';
import { segmentEntries } from '../../steps/kernel-modules/segment.ts';
import type { ModuleSelection } from './select.ts';
import { indexFiles, moduleItem } from './selected-items.ts';

/** Of what is not compressed yet: mostly indexes, for which a higher level costs more time than it saves space. */
const compression = { algorithm: 'zstd', level: 3 } as const;
/** Each archive begins at a multiple of this, as GNU cpio has it; the kernel asks for 4. */
const alignment = 512;
/** Raise it when the same selection becomes another file. */
const formatVersion = 1;

export interface SegmentRequest {
  readonly selection: ModuleSelection;
  /** Nothing in the archives is younger; seconds since 1970. */
  readonly epoch: number;
  /** Written anew. */
  readonly target: HostPath;
}

/** What a segment takes. */
export type SegmentContext = Pick<BuildContext, 'work' | 'sandbox' | 'signal'>;

/** Bytes of the archives in the file. */
export interface SegmentSizes {
  /** Of what is compressed already, and links. */
  readonly raw: number;
  /** Of the rest, compressed. */
  readonly packed: number;
}

/**
 * Writes a selection as a segment of an initrd: an uncompressed archive of the files that are compressed already, then a
 * zstd-compressed one of the others; either is left out when it would be empty. The same selection and epoch always give
 * the same bytes.
 * @throws MkimgError `tool-missing`, `tool-failed` for zstd; `file-changed`, `archive-file-too-large`.
 */
export async function writeModulesSegment(
  { selection, epoch, target }: SegmentRequest,
  context: SegmentContext,
): Promise<SegmentSizes> {
  const { raw, plain } = separated(segmentItems(selection, epoch));
  await using file = await open(target, 'w', 0o644);
  const rawSize = raw.size === 0 ? 0 : await writeItems(file, { items: raw, epoch, signal: context.signal });
  const packed = plain.size === 0 ? 0 : await appendPacked(file, { items: plain, epoch }, context);
  return { raw: rawSize, packed };
}

/**
 * Text that is equal for selections that make the same segment; file contents stand in it by inode, size and times.
 * Part of a cache key.
 */
export function segmentFingerprint(selection: ModuleSelection, epoch: number): string {
  const files: Json[] = [...segmentItems(selection, epoch)].map(([path, item]) => [
    path,
    itemFingerprint(item),
  ]);
  return canonicalJson({ formatVersion, compression: compression.level, epoch, files });
}

function itemFingerprint(item: SegmentItem): Json {
  if (item.kind === 'link') return item.target;
  if (Buffer.isBuffer(item.content)) return sha256(item.content);
  const { ino, size, mtimeMs, ctimeMs } = lstatSync(item.content.file);
  return [ino, size, mtimeMs, ctimeMs];
}

/** Everything at its place in the initrd. */
function segmentItems(selection: ModuleSelection, epoch: number): ReadonlyMap<TreePath, SegmentItem> {
  return new Map([
    ...selection.modules.map((module) => moduleItem(selection, module)),
    ...indexFiles(selection, epoch),
    ...selection.firmware.map(({ path, item }) => [path, item] as const),
  ]);
}

interface Separated {
  readonly raw: ReadonlyMap<TreePath, SegmentItem>;
  readonly plain: ReadonlyMap<TreePath, SegmentItem>;
}

function separated(items: ReadonlyMap<TreePath, SegmentItem>): Separated {
  const isRaw = ([path, item]: readonly [TreePath, SegmentItem]): boolean =>
    item.kind === 'link' || compressionSuffixOf(path) !== undefined;
  const all = [...items];
  const raw = new Map(all.filter(isRaw));
  const plain = new Map(all.filter((entry) => !isRaw(entry)));
  // Links alone are not worth an archive of their own.
  const hasFiles = [...raw.values()].some(({ kind }) => kind === 'file');
  return hasFiles ? { raw, plain } : { raw: new Map(), plain: items };
}

interface ArchiveRequest {
  readonly items: ReadonlyMap<TreePath, SegmentItem>;
  readonly epoch: number;
}

/** Appends an archive; answers its size. */
async function writeItems(
  file: FileHandle,
  { items, epoch, signal }: ArchiveRequest & { readonly signal: AbortSignal },
): Promise<number> {
  let size = 0;
  for await (const chunk of writeNewc(segmentEntries(items, epoch), { epoch, padTo: alignment })) {
    signal.throwIfAborted();
    await file.writeFile(chunk);
    size += chunk.length;
  }
  return size;
}

async function appendPacked(
  file: FileHandle,
  request: ArchiveRequest,
  context: SegmentContext,
): Promise<number> {
  const archive = hostPath(join(context.work, `modules.cpio`));
  const packed = hostPath(`${archive}.zst`);
  try {
    await using plain = await open(archive, 'wx', 0o600);
    await writeItems(plain, { ...request, signal: context.signal });
    await compressFile({ source: archive, target: packed, compression }, context);
    const size = await appendFile(file, packed);
    await file.writeFile(Buffer.alloc(paddingOf(size, alignment)));
    return size;
  } finally {
    await rm(archive, { force: true });
    await rm(packed, { force: true });
  }
}

async function appendFile(file: FileHandle, source: HostPath): Promise<number> {
  await using input = await open(source, 'r');
  const buffer = Buffer.allocUnsafe(1 << 20);
  for (let size = 0; ;) {
    const { bytesRead } = await input.read(buffer, 0, buffer.length, size);
    if (bytesRead === 0) return size;
    await file.writeFile(buffer.subarray(0, bytesRead));
    size += bytesRead;
  }
}
