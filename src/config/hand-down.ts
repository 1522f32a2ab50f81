import type { Origin } from '../base/diagnostic.ts';
import type { ImageLoading, ImageRole } from './loading.ts';
import { fallbackContext } from './loading.ts';
import { freeSettings } from './prohibitions.ts';
import type { Scope } from './setting.ts';
import type { SettingName, SettingRow } from './settings/table.ts';
import { findSetting, settingRow, settingRows } from './settings/table.ts';
import type { Resolved } from './values.ts';
import { assign, force, handOver, preload, resolve } from './values.ts';

/** What the main image says, for images that take values from it. */
export interface MainValues {
  readonly loading: ImageLoading;
  resolved(setting: SettingName): Resolved;
}

/** The values of an image as things stand. */
export function valuesOf(loading: ImageLoading): MainValues {
  return {
    loading,
    resolved: (setting) => resolve(loading.values, settingRow(setting), fallbackContext(loading)),
  };
}

/** Gives an image of the project what the main image decides for it and what it starts from. */
export function handDown(loading: ImageLoading, main: MainValues): void {
  for (const row of settingRows) ways[loading.role][row.setting.scope]?.(loading, row, main);
  passEnvironment(loading, main);
}

/** How a value of the main image reaches another one. */
type Way = (loading: ImageLoading, row: SettingRow, main: MainValues) => void;

const ways: Readonly<Record<ImageRole, Partial<Record<Scope, Way>>>> = {
  main: {},
  subimage: { multiversal: fix, universal: fixUnlessFree, inherit: startFrom },
  'default-initrd': {
    multiversal: fix,
    universal: fix,
    inherit: startFrom,
    'initrd-inherit': startFrom,
    initrd: rename,
  },
  tools: { multiversal: fix, tools: rename },
};

function originOf(main: MainValues): Origin {
  return { kind: 'inherited', image: main.loading.name };
}

function fix(loading: ImageLoading, row: SettingRow, main: MainValues): void {
  const given = main.resolved(row.name);
  force(loading.values, { row, given, origin: originOf(main) });
  note(loading, row, { given, kind: 'forced', main });
}

function fixUnlessFree(loading: ImageLoading, row: SettingRow, main: MainValues): void {
  if (freeSettings.has(row.name)) startFrom(loading, row, main);
  else fix(loading, row, main);
}

function startFrom(loading: ImageLoading, row: SettingRow, main: MainValues): void {
  const given = main.resolved(row.name);
  if (given.isDefault) return;
  preload(loading.values, { row, given, origin: originOf(main) });
  note(loading, row, { given, kind: 'handed-down', main });
}

interface Noted {
  readonly given: Resolved;
  readonly kind: 'forced' | 'handed-down';
  readonly main: MainValues;
}

/** Defaults that are the same in all images are not worth a line. */
function note(loading: ImageLoading, row: SettingRow, { given, kind, main }: Noted): void {
  if (given.isDefault) return;
  const layer = kind === 'forced' ? 'command line' : 'files';
  loading.history.push({
    setting: row.name,
    layer,
    kind,
    origin: originOf(main),
    text: undefined,
    entries: given.entries,
  });
}

/** ToolsTreePackages= of the main image is Packages= of the tools tree, InitrdPackages= that of the default initrd. */
function rename(loading: ImageLoading, row: SettingRow, main: MainValues): void {
  const target = findSetting(row.name.replace(/^(?:ToolsTree|Initrd)/, ''));
  if (target === undefined) throw new Error(`internal: ${row.name} stands for no setting`);
  const given = main.resolved(row.name);
  if (given.isDefault) {
    loading.values.defaults.set(target.name, given.value);
    return;
  }
  // Its own values take the place of what the main image hands down to all images (Profiles=).
  loading.values.layers.delete(target.name);
  handOver(main.loading.values, row, { values: loading.values, row: target });
  for (const assignment of main.loading.history) {
    if (assignment.setting === row.name) loading.history.push({ ...assignment, setting: target.name });
  }
}

/** Only the variables that PassEnvironment= names reach other images. */
function passEnvironment(loading: ImageLoading, main: MainValues): void {
  const names = main.resolved('PassEnvironment').value as readonly string[];
  const { entries } = main.resolved('Environment');
  const passed = (entries as readonly { value: readonly [string, string]; origin: Origin }[]).filter(
    ({ value: [name] }) => names.includes(name),
  );
  if (passed.length === 0) return;
  const row = settingRow('Environment');
  assign(loading.values, { row, layer: 'files' }, passed);
  loading.history.push({
    setting: row.name,
    layer: 'files',
    kind: 'handed-down',
    origin: originOf(main),
    text: undefined,
    entries: passed,
  });
}
