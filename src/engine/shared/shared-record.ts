import type { Sha256, StepKey } from '../../base/brand.ts';
import { sha256Digest } from '../../base/brand.ts';
import type { Json } from '../../base/canonical.ts';
import { canonicalJson, isObject } from '../../base/canonical.ts';
import type { ExcerptStates } from '../excerpts.ts';
import { areExcerptStates } from '../excerpts.ts';
import type { RecordedArtifact, RecordedIdentity, StoreRecord } from '../record.ts';
import { isKey } from '../record.ts';

/** What a shared cache says about one result, under the result's key: where its archive is, and what it holds. */
export interface SharedRecord {
  readonly format: 1;
  readonly key: StepKey;
  readonly kind: string;
  readonly label: string;
  readonly type: RecordedArtifact['type'];
  /** A tree with what the step left beside it. */
  readonly products: boolean;
  /** Bytes in regular files once unpacked. */
  readonly bytes: number;
  /** Trees: keys of the layers, bottom first, this one last; see StoreRecord. */
  readonly layers: readonly StepKey[];
  readonly meta: Json;
  readonly identity: Json;
  readonly chain: readonly RecordedIdentity[];
  /** Trees: see StoreRecord. */
  readonly excerpts?: ExcerptStates;
  readonly archive: SharedArchive;
}

/** A tar archive, compressed with zstd, that is stored under its digest. */
export interface SharedArchive {
  readonly sha256: Sha256;
  readonly bytes: number;
}

/** A record that is longer is none of ours. */
export const longestRecord = 16 << 20;

/** A tree of more layers is none of ours: the kernel takes fewer. */
const mostLayers = 500;

/** The text of a record. */
export function formatSharedRecord(stored: StoreRecord, archive: SharedArchive): string {
  const { key, kind, label, artifact, bytes, layers, meta, identity, chain } = stored;
  const products = artifact.type === 'tree' && artifact.products !== undefined;
  const common = {
    format: 1,
    key,
    kind,
    label,
    type: artifact.type,
    products,
    bytes,
    layers,
    meta,
    identity,
  };
  const steps = chain.map((step) => ({ label: step.label, identity: step.identity }));
  const rest = stored.excerpts === undefined ? {} : { excerpts: { ...stored.excerpts } };
  return `${canonicalJson({ ...common, chain: steps, ...rest, archive: { ...archive } })}\n`;
}

/** Reads what a shared cache answered for `key`; undefined when it is not a record of this version for this key. */
export function parseSharedRecord(text: string, key: StepKey): SharedRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  return isSharedRecord(value) && value.key === key ? value : undefined;
}

function isSharedRecord(value: unknown): value is SharedRecord {
  if (!isObject(value)) return false;
  const { format, key, kind, type, bytes, layers, chain } = value;
  return (
    format === 1 &&
    isKey(key) &&
    isName(kind) &&
    isForm(value) &&
    isSize(bytes) &&
    areLayers(layers, type === 'tree' ? key : undefined) &&
    isIdentity(value) &&
    'meta' in value &&
    areIdentities(chain) &&
    isArchive(value['archive'])
  );
}

function isForm({ type, products, excerpts }: Readonly<Record<string, unknown>>): boolean {
  if (!areExcerptStates(excerpts)) return false;
  if (type === 'tree') return typeof products === 'boolean';
  return (type === 'file' || type === 'files') && products === false;
}

function areIdentities(value: unknown): boolean {
  return Array.isArray(value) && value.every(isIdentity);
}

function isIdentity(value: unknown): value is RecordedIdentity {
  return isObject(value) && isName(value['label']) && isObject(value['identity']);
}

/** Words that are shown: short, and without characters that mean something to a terminal. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && /^[^\p{Cc}\p{Cf}]{1,500}$/u.test(value);
}

function isSize(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function areLayers(value: unknown, last: StepKey | undefined): boolean {
  if (!Array.isArray(value) || value.length > mostLayers || !value.every(isKey)) return false;
  return value.at(-1) === last && new Set(value).size === value.length;
}

function isArchive(value: unknown): value is SharedArchive {
  return isObject(value) && isKey(value['sha256']) && isSize(value['bytes']);
}

/** The name under which a result's record is stored. */
export function recordName(key: StepKey): string {
  return `ac/${key}`;
}

/** The name under which data is stored. */
export function contentName(digest: string): string {
  return `cas/${sha256Digest(digest)}`;
}
