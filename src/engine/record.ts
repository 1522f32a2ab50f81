import type { Sha256, StepKey } from '../base/brand.ts';
import { sha256Digest } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import { isObject } from '../base/canonical.ts';
import type { ArtifactType } from '../plan/step.ts';
import type { ChecksumList } from './tree-contents.ts';
import type { ExcerptStates } from './excerpts.ts';

/** One file of a `files` artifact, or the one of a `file` artifact (named `file`). */
export interface RecordedFile {
  readonly name: string;
  readonly bytes: number;
  /** Milliseconds since the epoch, as lstat(2) says. */
  readonly mtimeMs: number;
  /** Of the whole content; absent for large files, which have `sample`. */
  readonly sha256?: Sha256;
  /** sampleDigest() of a large file. */
  readonly sample?: Sha256;
}

export interface RecordedTree {
  readonly type: 'tree';
  readonly listing: Sha256;
  readonly entries: number;
  /** Listing of what the step left beside the tree. */
  readonly products?: Sha256;
  /** Of the list of digests that stands beside the tree; see tree-contents.ts. */
  readonly contents?: Sha256;
  /** Digests that came with the content. */
  readonly checksums?: ChecksumList;
}

/** What is needed to check an entry's artifact without the step that made it. */
export type RecordedArtifact =
  RecordedTree | { readonly type: 'file' | 'files'; readonly files: readonly RecordedFile[] };

/** `record.json` of a store entry: written last, so that an entry without one does not exist. */
export interface StoreRecord {
  readonly format: 1;
  readonly key: StepKey;
  readonly kind: string;
  /** What the user read when it was made; for `mkimg cache`. */
  readonly label: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Bytes in regular files of this entry alone (a tree's lower layers are other entries). */
  readonly bytes: number;
  readonly artifact: RecordedArtifact;
  /** Digest of the content, for steps whose later steps are keyed by it. */
  readonly content?: Sha256;
  /** Trees: the entries whose layers make up the tree, bottom first, this entry last. */
  readonly layers: readonly StepKey[];
  /** Trees: what is in their excerpts; see excerpts.ts. */
  readonly excerpts?: ExcerptStates;
  /** What the step said about its output. */
  readonly meta: Json;
  /** What the key was computed from, to tell later why another key came out. */
  readonly identity: Json;
  /** Trees: the same for the steps before it whose changes are in this layer too. */
  readonly chain: readonly RecordedIdentity[];
}

/** A step as it was when it ran. */
export interface RecordedIdentity {
  readonly label: string;
  readonly identity: Json;
}

/** The name of the artifact inside its entry. */
export function artifactName(type: ArtifactType): string {
  return type;
}

/** Reads a record; undefined when it is not one that this version writes. */
export function parseRecord(text: string): StoreRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  return isRecord(value) ? value : undefined;
}

function isRecord(value: unknown): value is StoreRecord {
  if (!isObject(value)) return false;
  const { format, key, kind, label, createdAt, bytes, artifact, layers, chain } = value;
  return (
    format === 1 &&
    isKey(key) &&
    [kind, label].every((text) => typeof text === 'string') &&
    [createdAt, bytes].every((number) => typeof number === 'number') &&
    isArtifact(artifact) &&
    Array.isArray(layers) &&
    layers.every(isKey) &&
    Array.isArray(chain)
  );
}

function isArtifact(value: unknown): value is RecordedArtifact {
  if (!isObject(value)) return false;
  if (value['type'] === 'tree') return isKey(value['listing']) && typeof value['entries'] === 'number';
  const files = value['files'];
  return (
    (value['type'] === 'file' || value['type'] === 'files') && Array.isArray(files) && files.every(isFile)
  );
}

function isFile(value: unknown): value is RecordedFile {
  if (!isObject(value)) return false;
  const { name, bytes, mtimeMs } = value;
  const named =
    typeof name === 'string' && name !== '' && !name.includes('/') && name !== '.' && name !== '..';
  return named && typeof bytes === 'number' && typeof mtimeMs === 'number';
}

/** True for text that is a key (or digest): 64 hexadecimal digits, so never a path. */
export function isKey(value: unknown): value is StepKey {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

/** Marks a digest as the key of a step. */
export function stepKey(digest: Sha256): StepKey {
  return sha256Digest(digest) as string as StepKey;
}
