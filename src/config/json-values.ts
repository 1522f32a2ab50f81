import { treePath } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import type { Codec, ParseContext } from './codec.ts';
import { tracedWhole } from './traced-text.ts';

/**
 * The items of a value in the form of `codec.json`; undefined when it has not this form, or cannot be written. What comes out
 * was read as a user's text is, so that it holds nothing that a file could not say.
 */
export function itemsFromJson<T, E>(
  codec: Codec<T, E>,
  json: Json,
  context: ParseContext,
): readonly E[] | undefined {
  const direct = codec.fromJson?.(json);
  if (direct !== undefined) return direct;
  if (isEmptyCollection(codec, json)) return [];
  for (const text of textsOf(codec, json)) {
    const parsed = codec.parse(tracedWhole(text, { kind: 'default' }), context);
    if (!parsed.ok) continue;
    const items = parsed.value.map(({ value }) => value);
    if (sameJson(codec.json(codec.collect(items)), json)) return items;
  }
  return undefined;
}

/** Whether two values are written as the same JSON, whatever the order of keys. */
export function sameJson(left: Json, right: Json): boolean {
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null)
    return left === right;
  const keys = Object.keys(left);
  return (
    Array.isArray(left) === Array.isArray(right) &&
    keys.length === Object.keys(right).length &&
    keys.every((key) => Object.hasOwn(right, key) && sameJson(memberOf(left, key), memberOf(right, key)))
  );
}

function memberOf(json: object, key: string): Json {
  return (json as Record<string, Json>)[key] ?? null;
}

function isEmptyCollection<T, E>(codec: Codec<T, E>, json: Json): boolean {
  return (
    codec.merge !== 'replace' && typeof json === 'object' && json !== null && Object.keys(json).length === 0
  );
}

/** Texts that may say what the JSON says. */
function textsOf<T, E>(codec: Codec<T, E>, json: Json): readonly string[] {
  if (typeof json === 'string') return [json];
  if (typeof json === 'boolean') return [json ? 'yes' : 'no'];
  if (typeof json === 'number') return [String(json), `0${json.toString(8)}`];
  if (json === null) return [];
  return candidates(json).flatMap((items) => shown(codec, items));
}

/** Items as codecs may know them: as they are, trees, a password, the pairs of a dictionary. */
type Structure = Exclude<Json, string | number | boolean | null>;

function candidates(json: Structure): readonly (readonly unknown[])[] {
  if (!isList(json)) {
    const { Type: type, Source: source } = json;
    const key = typeof type === 'string' && typeof source === 'string' ? [[{ type, source }]] : [];
    return [...key, Object.entries(json)];
  }
  const [value, hashed] = json;
  const password = json.length === 2 && typeof hashed === 'boolean' ? [[{ value, hashed }]] : [];
  const trees = json.every(isTree)
    ? [json.map(({ Source, Target }) => ({ source: Source, target: treePath(Target ?? '') }))]
    : [];
  return [...password, ...trees, json];
}

function isList(json: Structure): json is readonly Json[] {
  return Array.isArray(json);
}

function isTree(json: Json): json is { readonly Source: string; readonly Target: string | null } {
  if (typeof json !== 'object' || json === null || isList(json)) return false;
  const { Source: source, Target: target } = json;
  return (
    typeof source === 'string' &&
    (target === null || (typeof target === 'string' && !target.split('/').includes('..')))
  );
}

/** A codec that is handed foreign items may fail in any way; that they do not fit is what there is to know. */
function shown<T, E>(codec: Codec<T, E>, items: readonly unknown[]): readonly string[] {
  try {
    const text: unknown = codec.show(codec.collect(items as readonly E[]));
    return typeof text === 'string' ? [text] : [];
  } catch (error) {
    if (error instanceof TypeError) return [];
    throw error;
  }
}
