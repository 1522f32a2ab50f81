import type { Stats } from 'node:fs';
import { lstat, open, readdir, readFile, rename, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath, Sha256, StepKey } from '../base/brand.ts';
import { hostPath, sha256Digest } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import { byBytes, canonicalJson, digestJson, isObject } from '../base/canonical.ts';
import { isErrno } from '../base/errors.ts';
import { exists, syncDirectory } from '../base/files.ts';
import type { ArtifactType } from '../plan/step.ts';
import type { Listing } from './content.ts';
import type { ExcerptStates } from './excerpts.ts';
import { fileDigest, listTree, sampleDigest } from './content.ts';
import { entryPath, movedTo, recordMove } from './moved.ts';
import type { CacheLayout } from './layout.ts';
import { createLayout, productsPath } from './layout.ts';
import type { RecordedArtifact, RecordedFile, RecordedIdentity, StoreRecord } from './record.ts';
import { isKey, parseRecord } from './record.ts';
import type { Stage } from './staging.ts';
import type { ChecksumList } from './tree-contents.ts';
import { contentsWriter } from './tree-contents.ts';
import { createStage, removeLargeTree } from './staging.ts';

/** One result in the store. */
export interface Entry {
  readonly record: StoreRecord;
  /** The artifact: the layer of a tree, the file, or the directory of files. */
  readonly path: HostPath;
}

/** What is known about a result before it is in the store. */
export interface EntryDraft {
  readonly key: StepKey;
  readonly kind: string;
  readonly label: string;
  readonly type: ArtifactType;
  /** Keep a digest of the whole content, however large it is. */
  readonly contentKeyed: boolean;
  /** Keys of the layers below a tree, bottom first. */
  readonly lowerLayers: readonly StepKey[];
  readonly meta: Json;
  readonly identity: Json;
  /** Wait until the record is on disk. Default true; what is quickly made again does not need it. */
  readonly sync?: boolean;
  /** Steps whose changes are in the same layer. */
  readonly chain?: readonly RecordedIdentity[];
  readonly excerpts?: ExcerptStates;
  readonly checksums?: ChecksumList;
}

/** How thoroughly an entry is checked. */
export type CheckDepth =
  /** Sizes, times and listings, small files by content. What every use does. */
  | 'use'
  /** Each file that has a digest, by content. */
  | 'full';

/**
 * Results by key. An entry comes into being by one rename(2) of a complete directory, so readers never see a part, and of
 * two builds that make the same one the first stays. Its data is not synced: after a power cut an entry may have lost
 * data, which check() finds by size, time and digest; then it is removed and made again.
 */
export interface Store {
  readonly layout: CacheLayout;
  /** The entry, if its record and artifact are there. Reads one small file. */
  find(key: StepKey): Promise<Entry | undefined>;
  /** Says what is wrong with an entry; undefined when nothing is. Trees: this layer alone. */
  check(entry: Entry, depth: CheckDepth): Promise<string | undefined>;
  stage(): Promise<Stage>;
  /** Puts the artifact at `stage.entry` into the store; returns the other's entry if another build was first. */
  commit(stage: Stage, draft: EntryDraft): Promise<Entry>;
  /** Notes that an entry was used now. */
  touch(key: StepKey): Promise<void>;
  remove(key: StepKey): Promise<void>;
  /** Takes entries out of sight, so that nobody finds them any more; disposal removes their files. */
  detach(keys: readonly StepKey[]): Promise<AsyncDisposable>;
  /**
   * Notes that the artifact was moved out of the store to `path`. The entry goes on being found as long as the artifact
   * stays there unchanged.
   */
  recordMove(key: StepKey, path: HostPath): Promise<void>;
  /** All names that look like keys, also those of damaged entries. */
  keys(): Promise<readonly StepKey[]>;
}

/** Opens the store, making its directories when they are missing. @throws MkimgError `cache-not-writable` */
export async function openStore(layout: CacheLayout): Promise<Store> {
  await createLayout(layout);
  return {
    layout,
    find: (key) => find(entryPath(layout, key), key),
    check,
    stage: () => createStage(layout.staging),
    commit: (stage, draft) => commit(entryPath(layout, draft.key), stage, draft),
    touch: (key) => touch(join(entryPath(layout, key), 'record.json')),
    remove: async (key) => {
      await using _detached = await detachEntries(layout, [key]);
    },
    detach: (keys) => detachEntries(layout, keys),
    recordMove: (key, path) => recordMove(layout, key, path),
    keys: async () => (await readdir(layout.store)).filter(isKey).sort(byBytes),
  };
}

async function find(path: string, key: StepKey): Promise<Entry | undefined> {
  try {
    const record = parseRecord(await readFile(join(path, 'record.json'), 'utf8'));
    if (record?.key !== key) return undefined;
    const artifact = hostPath(join(path, record.artifact.type));
    if (await exists(artifact)) return { record, path: artifact };
    const moved = await movedTo(path);
    return moved === undefined ? undefined : { record, path: moved };
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

async function touch(recordPath: string): Promise<void> {
  const now = new Date();
  try {
    await utimes(recordPath, now, now);
  } catch (error) {
    // The entry went away, or the cache is on a read-only file system: then nobody prunes it either.
    if (!isErrno(error, 'ENOENT', 'EROFS')) throw error;
  }
}

/** Out of sight first: nobody may find an entry that is half removed. */
async function detachEntries(layout: CacheLayout, keys: readonly StepKey[]): Promise<AsyncDisposable> {
  const trash = await createStage(layout.staging);
  try {
    for (const key of keys) await renameIfThere(join(layout.store, key), join(trash.directory, key));
  } catch (error) {
    await trash[Symbol.asyncDispose]();
    throw error;
  }
  return { [Symbol.asyncDispose]: () => removeLargeTree(trash.directory) };
}

async function renameIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

async function commit(target: string, stage: Stage, draft: EntryDraft): Promise<Entry> {
  const record = await describe(stage, draft);
  const handle = await open(join(stage.entry, 'record.json'), 'wx', 0o600);
  try {
    await handle.writeFile(`${canonicalJson(record as unknown as Json)}\n`);
    if (draft.sync !== false) await handle.sync();
  } finally {
    await handle.close();
  }
  await makePresent(stage, target, draft);
  const entry = await find(target, draft.key);
  if (entry === undefined) throw new Error(`internal: entry ${draft.key} is not there after its commit`);
  return entry;
}

async function makePresent(stage: Stage, target: string, { key, sync }: EntryDraft): Promise<void> {
  try {
    await rename(stage.entry, target);
  } catch (error) {
    if (!isErrno(error, 'EEXIST', 'ENOTEMPTY')) throw error;
    if ((await find(target, key)) !== undefined) return;
    // What stands in the way is not an entry: damaged before, by a crash or by hand.
    await rename(target, join(stage.directory, 'replaced'));
    await rename(stage.entry, target);
  }
  if (sync !== false) await syncDirectory(join(target, '..'));
}

async function describe(stage: Stage, draft: EntryDraft): Promise<StoreRecord> {
  const { artifact, bytes } = await describeArtifact(join(stage.entry, draft.type), draft);
  const { key, kind, label, meta, identity } = draft;
  return {
    ...{ format: 1, key, kind, label, createdAt: Date.now(), bytes, artifact, meta, identity },
    layers: draft.type === 'tree' ? [...draft.lowerLayers, key] : [],
    chain: draft.chain ?? [],
    ...(draft.excerpts === undefined ? {} : { excerpts: draft.excerpts }),
    ...(draft.contentKeyed ? { content: statedContent(meta) ?? contentDigest(artifact) } : {}),
  };
}

async function describeArtifact(
  path: string,
  { type, contentKeyed, checksums }: EntryDraft,
): Promise<{ artifact: RecordedArtifact; bytes: number }> {
  if (type === 'tree') {
    const writer = contentsWriter(path, checksums);
    const { digest, entries, bytes } = await listTree(path, writer.visit);
    const products = await listProducts(path);
    const contents = await writer.write();
    const rest = { ...(contents && { contents }), ...(checksums && { checksums }) };
    return {
      artifact: { type, listing: digest, entries, ...(products && { products: products.digest }), ...rest },
      bytes: bytes + (products?.bytes ?? 0),
    };
  }
  const files: RecordedFile[] = [];
  for (const name of type === 'file' ? [''] : (await readdir(path)).sort(byBytes)) {
    files.push(await describeFile(join(path, name), name === '' ? 'file' : name, contentKeyed));
  }
  return { artifact: { type, files }, bytes: files.reduce((sum, file) => sum + file.bytes, 0) };
}

/** What a step left beside its tree, if anything. */
async function listProducts(tree: string): Promise<Listing | undefined> {
  const path = productsPath(tree);
  return (await exists(path)) ? listTree(path) : undefined;
}

const smallFileBytes = 16 << 20;

async function describeFile(path: string, name: string, contentKeyed: boolean): Promise<RecordedFile> {
  const stats = await lstat(path);
  if (!stats.isFile()) throw new Error(`internal: a step made something that is not a file: ${name}`);
  const common = { name, bytes: stats.size, mtimeMs: stats.mtimeMs };
  return contentKeyed || stats.size <= smallFileBytes
    ? { ...common, sha256: await fileDigest(path) }
    : { ...common, sample: await sampleDigest(path, stats.size) };
}

/** What the step itself says that its content amounts to. */
function statedContent(meta: Json): Sha256 | undefined {
  const content = isObject(meta) ? meta['content'] : undefined;
  return typeof content === 'string' ? sha256Digest(content) : undefined;
}

function contentDigest(artifact: RecordedArtifact): StoreRecord['content'] & string {
  if (artifact.type === 'tree') throw new Error('internal: trees are not keyed by content');
  return digestJson(artifact.files.map(({ name, sha256 }) => ({ name, sha256 })));
}

async function check({ record, path }: Entry, depth: CheckDepth): Promise<string | undefined> {
  const { artifact } = record;
  try {
    if (artifact.type === 'tree') {
      const isSame =
        (await listTree(path)).digest === artifact.listing &&
        (artifact.products === undefined || (await listProducts(path))?.digest === artifact.products);
      return isSame ? undefined : 'its files differ from the record';
    }
    return await checkFiles(path, artifact, depth);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return 'files are missing';
    throw error;
  }
}

async function checkFiles(
  path: string,
  artifact: Extract<RecordedArtifact, { type: 'file' | 'files' }>,
  depth: CheckDepth,
): Promise<string | undefined> {
  for (const file of artifact.files) {
    const fault = await checkFile(artifact.type === 'file' ? path : join(path, file.name), file, depth);
    if (fault !== undefined) return fault;
  }
  const expected = artifact.files.length;
  if (artifact.type === 'files' && (await readdir(path)).length !== expected) return 'it holds further files';
  return undefined;
}

async function checkFile(path: string, file: RecordedFile, depth: CheckDepth): Promise<string | undefined> {
  const stats = await lstat(path);
  const fault = compareStats(stats, file);
  if (fault !== undefined) return fault;
  if (file.sha256 !== undefined && (depth === 'full' || file.bytes <= smallFileBytes)) {
    return (await fileDigest(path)) === file.sha256 ? undefined : `the content of ${file.name} changed`;
  }
  if (file.sample === undefined) return undefined;
  return (await sampleDigest(path, file.bytes)) === file.sample
    ? undefined
    : `the content of ${file.name} changed`;
}

function compareStats(stats: Stats, file: RecordedFile): string | undefined {
  if (!stats.isFile()) return `${file.name} is not a file`;
  if (stats.size !== file.bytes) return `${file.name} has ${stats.size} bytes instead of ${file.bytes}`;
  return stats.mtimeMs === file.mtimeMs ? undefined : `${file.name} was modified`;
}
