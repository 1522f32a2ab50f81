import type { Origin } from '../base/diagnostic.ts';
import type { Entry } from './codec.ts';
import type { FallbackContext } from './setting.ts';
import type { SettingName, SettingRow } from './settings/table.ts';
import { settingRow } from './settings/table.ts';

/** Where values come from, from weak to strong: files, the local files of one checkout, the command line. */
const layerNames = ['files', 'local', 'command line'] as const;
export type LayerName = (typeof layerNames)[number];

interface Layer {
  /** An empty assignment dropped all that stood before. */
  cleared: boolean;
  entries: readonly Entry<unknown>[];
}

type Layers = Readonly<Record<LayerName, Layer>>;

/** What was assigned so far. Defaults are never kept here: they follow from the values at the time of asking. */
export type Values = Map<SettingName, Layers>;

/** A value with the places that its items came from; no items for a default. */
export interface Resolved {
  readonly value: unknown;
  readonly entries: readonly Entry<unknown>[];
  readonly isDefault: boolean;
}

/** Adds what one assignment says. */
export function assign(values: Values, place: Place, entries: readonly Entry<unknown>[]): void {
  const layer = layerOf(values, place);
  layer.entries = place.row.setting.codec.merge === 'replace' ? entries : [...layer.entries, ...entries];
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

export interface Place {
  readonly row: SettingRow;
  readonly layer: LayerName;
}

/** The value of a setting as things stand. */
export function resolve(values: Values, row: SettingRow, context: FallbackContext): Resolved {
  const layers = values.get(row.name);
  const assigned =
    layers === undefined
      ? undefined
      : row.setting.codec.merge === 'replace'
        ? scalarEntries(layers)
        : collectionEntries(row, layers);
  if (assigned === undefined) return { value: fallback(values, row, context), entries: [], isDefault: true };
  const value = row.setting.codec.collect(assigned.map((entry) => entry.value));
  return { value, entries: assigned, isDefault: false };
}

/** The default that follows from the other values as things stand. */
export function fallback(values: Values, row: SettingRow, context: FallbackContext): unknown {
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

function layerOf(values: Values, { row, layer }: Place): Layer {
  const known = values.get(row.name);
  if (known !== undefined) return known[layer];
  const created = { files: emptyLayer(), local: emptyLayer(), 'command line': emptyLayer() };
  values.set(row.name, created);
  return created[layer];
}

function emptyLayer(): Layer {
  return { cleared: false, entries: [] };
}

/** The strongest layer that says something counts alone; undefined when nothing does, or when it was taken back. */
function scalarEntries(layers: Layers): readonly Entry<unknown>[] | undefined {
  for (const name of [...layerNames].reverse()) {
    const { entries, cleared } = layers[name];
    if (entries.length > 0) return entries.slice(-1);
    if (cleared) return undefined;
  }
  return undefined;
}

/** All layers one after the other, from the strongest on that was cleared; undefined when nothing was said at all. */
function collectionEntries(row: SettingRow, layers: Layers): readonly Entry<unknown>[] | undefined {
  const { codec } = row.setting;
  const collected: Entry<unknown>[] = [];
  let said = false;
  for (const name of layerNames) {
    const { entries, cleared } = layers[name];
    if (cleared) collected.length = 0;
    said ||= cleared || entries.length > 0;
    collected.push(...(codec.order?.(entries) ?? entries));
  }
  return said ? collected : undefined;
}
