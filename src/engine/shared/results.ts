import { statfs, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath, StepKey } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import type { Sandbox } from '../../sandbox/types.ts';
import { fileDigest } from '../content.ts';
import type { Entry, Store } from '../store.ts';
import type { ArchivePart } from './archive.ts';
import { packArtifact, unpackArtifact } from './archive.ts';
import { SharedCacheFault } from './fault.ts';
import type { SharedArchive, SharedRecord } from './shared-record.ts';
import {
  contentName,
  formatSharedRecord,
  longestRecord,
  parseSharedRecord,
  recordName,
} from './shared-record.ts';
import type { Line } from './transfer.ts';
import { receiveContent, receiveText, sendFile } from './transfer.ts';

/** What moving results between the store and a shared cache works with. */
export interface Scene {
  readonly store: Store;
  readonly sandbox: Sandbox;
  readonly line: Line;
}

/** How a result is taken over. */
export interface Pulling {
  /** Keep a digest of the whole content; see EntryDraft. */
  readonly contentKeyed: boolean;
  /** Hears how much of how many bytes there are. */
  readonly progress: (done: number, total: number) => void;
}

/**
 * Brings a result and the layers below it into the store, those first; false when the cache lacks one of them.
 * @throws SharedCacheFault and errors of the transport
 */
export async function pullResult(key: StepKey, pulling: Pulling, scene: Scene): Promise<boolean> {
  const record = await receiveRecord(key, scene);
  if (record === undefined) return false;
  for (const [index, layer] of record.layers.slice(0, -1).entries()) {
    if ((await scene.store.find(layer)) !== undefined) continue;
    const lower = await receiveRecord(layer, scene);
    if (lower === undefined) return false;
    if (lower.layers.join() !== record.layers.slice(0, index + 1).join()) {
      throw new SharedCacheFault('its records contradict each other');
    }
    if (!(await takeOver(lower, { ...pulling, contentKeyed: false }, scene))) return false;
  }
  return takeOver(record, pulling, scene);
}

async function receiveRecord(key: StepKey, { line }: Scene): Promise<SharedRecord | undefined> {
  const text = await receiveText(recordName(key), line);
  if (text === undefined) return undefined;
  const record = parseSharedRecord(text, key);
  if (record === undefined) throw new SharedCacheFault('it answers with something that is no record');
  return record;
}

async function takeOver(
  record: SharedRecord,
  { contentKeyed, progress }: Pulling,
  { store, sandbox, line }: Scene,
): Promise<boolean> {
  const { key, kind, label, type, products, layers, meta, identity, chain, archive } = record;
  const excerpts = record.excerpts === undefined ? {} : { excerpts: record.excerpts };
  await requireSpace(store, archive.bytes + record.bytes);
  await using stage = await store.stage();
  const work = await stage.scratch();
  const target = hostPath(join(work, 'archive'));
  const receiving = { ...archive, target, progress: (done: number) => progress(done, archive.bytes) };
  if (!(await receiveContent(contentName(archive.sha256), receiving, line))) return false;
  const parts: readonly ArchivePart[] = products ? [type, 'products'] : [type];
  await unpackArtifact({ parts, work, scratch: await stage.scratch(), entry: stage.entry }, sandbox);
  line.signal.throwIfAborted();
  const draft = { key, kind, label, type, contentKeyed, meta, identity, chain, ...excerpts };
  await store.commit(stage, { ...draft, lowerLayers: layers.slice(0, -1) });
  return true;
}

/** Before a full disk ends the build. */
async function requireSpace({ layout }: Store, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(layout.store);
  if (bavail * bsize < bytes) throw new SharedCacheFault('there is no space left for what it holds');
}

/** A result that is ready to be sent; disposal removes the archive. */
export interface PackedResult extends AsyncDisposable {
  readonly entry: Entry;
  readonly directory: HostPath;
  readonly file: HostPath;
  readonly archive: SharedArchive;
}

/** Packs a result; undefined when the cache has it, or it is nothing for a shared cache. */
export async function packResult(
  entry: Entry,
  { store, sandbox, line }: Scene,
): Promise<PackedResult | undefined> {
  const { record, path } = entry;
  const { artifact } = record;
  const hasProducts = artifact.type === 'tree' && artifact.products !== undefined;
  const products: readonly ArchivePart[] = hasProducts ? ['products'] : [];
  const stage = await store.stage();
  try {
    const file = await packArtifact(
      { path, parts: [artifact.type, ...products] },
      await stage.scratch(),
      sandbox,
    );
    line.signal.throwIfAborted();
    const archive: SharedArchive = { sha256: await fileDigest(file), bytes: (await stat(file)).size };
    const { directory } = stage;
    return { entry, directory, file, archive, [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose]() };
  } catch (error) {
    await stage[Symbol.asyncDispose]();
    throw error;
  }
}

/** Sends the archive, then the record: who finds the record finds the archive. */
export async function sendResult(result: PackedResult, { line }: Scene): Promise<void> {
  const { entry, directory, file, archive } = result;
  const text = formatSharedRecord(entry.record, archive);
  if (text.length > longestRecord) return;
  await sendFile({ name: contentName(archive.sha256), file, unlessThere: true }, line);
  const record = hostPath(join(directory, 'shared-record.json'));
  await writeFile(record, text);
  await sendFile({ name: recordName(entry.record.key), file: record, unlessThere: false }, line);
}
