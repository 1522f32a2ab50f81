import type { Origin } from '../base/diagnostic.ts';
import type { Entry } from './codec.ts';
import type { FallbackContext } from './setting.ts';
import type { SettingName, SettingRow } from './settings/table.ts';
import { settingRow } from './settings/table.ts';

/**
 * Where values come from, from weak to strong: configuration that mkimg brings along for the tools tree and the default
 * initrd, files, the local file and the local directory of one checkout, the command line.
 */
export const layerNames = ['built-in', 'files', 'local', 'local directory', 'command line'] as const;
export type LayerName = (typeof layerNames)[number];

interface Layer {
  /** An empty assignment dropped all that stood before. */
  cleared: boolean;
  entries: readonly Entry<unknown>[];
}

type Layers = Readonly<Record<LayerName, Layer>>;

/** What was assigned so far. */
export interface Values {
  readonly layers: Map<SettingName, Layers>;
  /** Defaults that another image hands down; they take the place of the table's. */
  readonly defaults: Map<SettingName, unknown>;
  /** What was asked for since the last assignment. Defaults follow from other values, so one assignment forgets all. */
  readonly known: Map<SettingName, Resolved>;
}

export function newValues(): Values {
  return { layers: new Map(), defaults: new Map(), known: new Map() };
}

/** The same values, to be changed apart from these. */
export function copyOfValues({ layers, defaults }: Values): Values {
  const copied = [...layers].map(([name, given]) => {
    const entries = layerNames.map((layer) => [layer, { ...given[layer] }] as const);
    // One entry for each name of a layer.
    return [name, Object.fromEntries(entries) as Layers] as const;
  });
  return { layers: new Map(copied), defaults: new Map(defaults), known: new Map() };
}

/** A value with the places that its items came from; no items for a default. */
export interface Resolved {
  readonly value: unknown;
  readonly entries: readonly Entry<unknown>[];
  readonly isDefault: boolean;
  /** Removals that had nothing to take back. */
  readonly idleRemovals: readonly Entry<unknown>[];
}

/** Adds what one assignment says. */
export function assign(values: Values, place: Place, entries: readonly Entry<unknown>[]): void {
  const layer = layerOf(values, place);
  const replaces = place.row.setting.codec.merge === 'replace' || entries[0]?.restarts === true;
  layer.entries = replaces ? entries : [...layer.entries, ...entries];
}

/** An empty assignment: scalars go back to their default, collections become empty. */
export function clear(values: Values, place: Place): void {
  const layer = layerOf(values, place);
  layer.cleared = true;
  layer.entries = [];
}

/** A value handed down by another image: fixed, whatever the image's own files say. */
export function force(values: Values, handed: HandedDown): void {
  const place = { row: handed.row, layer: 'command line' } as const;
  clear(values, place);
  assign(values, place, itemsOf(handed));
}

/** A value handed down by another image as the one to start from. */
export function preload(values: Values, handed: HandedDown): void {
  if (!handed.given.isDefault) assign(values, { row: handed.row, layer: 'files' }, itemsOf(handed));
}

/** A value of another image and the origin to note for it. */
export interface HandedDown {
  readonly row: SettingRow;
  readonly given: Resolved;
  readonly origin: Origin;
}

/** What one image's values say about `from` is what another's say about `to`, layer by layer. */
export function handOver(
  source: Values,
  from: SettingRow,
  target: { values: Values; row: SettingRow },
): void {
  const layers = source.layers.get(from.name);
  if (layers === undefined) return;
  for (const name of layerNames) {
    const place = { row: target.row, layer: name };
    if (layers[name].cleared) clear(target.values, place);
    if (layers[name].entries.length > 0) assign(target.values, place, layers[name].entries);
  }
}

/** Somebody assigned something, be it nothing. */
export function isAssigned(values: Values, name: SettingName): boolean {
  const layers = values.layers.get(name);
  return (
    layers !== undefined &&
    layerNames.some((layer) => layers[layer].cleared || layers[layer].entries.length > 0)
  );
}

export interface Place {
  readonly row: SettingRow;
  readonly layer: LayerName;
}

/** The value of a setting as things stand; `context` is the same for all questions to the same values. */
export function resolve(values: Values, row: SettingRow, context: FallbackContext): Resolved {
  const known = values.known.get(row.name);
  if (known !== undefined) return known;
  const resolved = resolveAnew(values, row, context);
  values.known.set(row.name, resolved);
  return resolved;
}

function resolveAnew(values: Values, row: SettingRow, context: FallbackContext): Resolved {
  const layers = values.layers.get(row.name);
  const { codec } = row.setting;
  const found =
    layers && (codec.merge === 'replace' ? scalarEntries(layers) : collectionEntries(row, layers));
  if (found === undefined) {
    if (layers !== undefined && isUnset(row, layers))
      return { value: undefined, entries: [], isDefault: false, idleRemovals: [] };
    return { value: fallback(values, row, context), entries: [], isDefault: true, idleRemovals: [] };
  }
  const value = codec.collect(found.entries.map((entry) => entry.value));
  return { value, isDefault: false, ...found };
}

/** The default that follows from the other values as things stand. */
export function fallback(values: Values, row: SettingRow, context: FallbackContext): unknown {
  if (values.defaults.has(row.name)) return values.defaults.get(row.name);
  const rule = row.setting.fallback;
  const inputs: Record<string, unknown> = {};
  for (const name of Object.keys(rule.from)) {
    inputs[name] = resolve(values, settingRow(name as SettingName), context).value;
  }
  return rule.make(inputs, context);
}

function itemsOf({ row, given, origin }: HandedDown): readonly Entry<unknown>[] {
  if (given.value === undefined) return [];
  return row.setting.codec.items(given.value).map((value) => ({ value, origin }));
}

/** For writing: whatever was known is out of date then. */
function layerOf(values: Values, { row, layer }: Place): Layer {
  values.known.clear();
  const found = values.layers.get(row.name);
  if (found !== undefined) return found[layer];
  const created = {
    'built-in': emptyLayer(),
    files: emptyLayer(),
    local: emptyLayer(),
    'local directory': emptyLayer(),
    'command line': emptyLayer(),
  };
  values.layers.set(row.name, created);
  return created[layer];
}

function emptyLayer(): Layer {
  return { cleared: false, entries: [] };
}

type Found = Pick<Resolved, 'entries' | 'idleRemovals'>;

/** Somebody said that an optional scalar shall have no value: not even its default. */
function isUnset({ setting }: SettingRow, layers: Layers): boolean {
  if (setting.optional !== true || setting.codec.merge !== 'replace') return false;
  return layerNames.some((name) => layers[name].cleared);
}

/** The strongest layer that says something counts alone; undefined when nothing does, or when it was taken back. */
function scalarEntries(layers: Layers): Found | undefined {
  for (const name of [...layerNames].reverse()) {
    const { entries, cleared } = layers[name];
    if (entries.length > 0) return { entries: entries.slice(-1), idleRemovals: [] };
    if (cleared) return undefined;
  }
  return undefined;
}

/** All layers one after the other, from the strongest on that was cleared; undefined when nothing was said at all. */
function collectionEntries(row: SettingRow, layers: Layers): Found | undefined {
  const { codec } = row.setting;
  let collected: readonly Entry<unknown>[] = [];
  const idleRemovals: Entry<unknown>[] = [];
  let said = false;
  for (const name of layerNames) {
    const { entries, cleared } = layers[name];
    if (cleared) collected = [];
    said ||= cleared || entries.length > 0;
    const kept = entries.some(({ removes }) => removes === true)
      ? withoutRemoved(collected, entries, idleRemovals)
      : { before: collected, entries };
    collected = [...kept.before, ...(codec.order?.(kept.entries) ?? kept.entries)];
  }
  return said ? { entries: collected, idleRemovals } : undefined;
}

interface Kept {
  /** Of weaker layers. */
  readonly before: readonly Entry<unknown>[];
  readonly entries: readonly Entry<unknown>[];
}

/** Each removal takes the equal items before it away. */
function withoutRemoved(
  before: readonly Entry<unknown>[],
  entries: readonly Entry<unknown>[],
  idleRemovals: Entry<unknown>[],
): Kept {
  let kept: Kept = { before, entries: [] };
  for (const entry of entries) {
    if (entry.removes !== true) {
      kept = { ...kept, entries: [...kept.entries, entry] };
      continue;
    }
    const stays = ({ value }: Entry<unknown>): boolean => value !== entry.value;
    const next = { before: kept.before.filter(stays), entries: kept.entries.filter(stays) };
    if (next.before.length + next.entries.length === kept.before.length + kept.entries.length)
      idleRemovals.push(entry);
    kept = next;
  }
  return kept;
}
