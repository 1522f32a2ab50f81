import { join } from 'node:path';
import type { HostPath, ImageName } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import type { Diagnostic, Origin } from '../base/diagnostic.ts';
import { parseEnvironmentFile } from './environment-file.ts';
import type { ConfigFiles } from './files.ts';
import type { Assignment, FileVisit } from './history.ts';
import { expandKey } from './key-specifiers.ts';
import type { ImageLoading } from './loading.ts';
import { fallbackContext } from './loading.ts';
import type { ImageConfig, SettingName, SettingRow } from './settings/table.ts';
import { settingRow, settingRows } from './settings/table.ts';
import type { Resolved } from './values.ts';
import { fallback, resolve } from './values.ts';

/** An image with a value for each setting, and with the places that the values came from. */
export interface ResolvedImage {
  readonly name: ImageName;
  /** Its configuration directory, or the file that describes it. */
  readonly directory: HostPath;
  /** All assignments in the order of reading; what they add up to is `resolved`. */
  readonly assignments: readonly Assignment[];
  /** Configuration files in the order in which they were found, also those whose conditions did not hold. */
  readonly files: readonly FileVisit[];
  readonly config: ImageConfig;
  /** EnvironmentFiles= and Environment= together. */
  readonly environment: Readonly<Record<string, string>>;
  /** A value with the place of each of its items. */
  resolved(setting: SettingName): Resolved;
  /** What the value would be if nobody had set it. */
  defaultOf(setting: SettingName): unknown;
  /** The value is the same as if nobody had set it. */
  isDefault(setting: SettingName): boolean;
  /**
   * Where a value came from. `item` picks one of a collection, as a user would write it (`vim` of Packages=, the name of a
   * variable of Environment=) or by its index; an unknown one gives the place of the last item.
   */
  originOf(setting: SettingName, item?: string | number): Origin;
}

/** Values that do not follow from assignments. */
export type ChangedValues = ReadonlyMap<SettingName, Resolved>;

/** Works out all values of an image whose configuration was read; faults in environment files are noted. */
export function finishImage(loading: ImageLoading, changed: ChangedValues = new Map()): ResolvedImage {
  const context = fallbackContext(loading);
  const all = new Map(
    settingRows.map((row) => [row.name, changed.get(row.name) ?? resolve(loading.values, row, context)]),
  );
  const resolved = (setting: SettingName): Resolved => {
    const found = all.get(setting);
    if (found === undefined) throw new Error(`internal: no setting ${setting}`);
    return found;
  };
  const values = Object.fromEntries([...all].map(([name, { value }]) => [name, value]));
  // The table gives both the names and the codecs that made these values.
  const config = values as unknown as ImageConfig;
  return {
    name: loading.name,
    directory: loading.home,
    assignments: loading.history,
    files: loading.visits,
    config,
    environment: { ...readEnvironmentFiles(loading, config), ...config.Environment },
    resolved,
    defaultOf: (setting) => fallback(loading.values, settingRow(setting), context),
    isDefault: (setting) => {
      const row = settingRow(setting);
      const [shown, usual] = [resolved(setting).value, fallback(loading.values, row, context)];
      return shown === usual || showValue(row, shown) === showValue(row, usual);
    },
    originOf: (setting, item) => originOf(settingRow(setting), resolved(setting), item),
  };
}

/** The whole configuration as JSON, with the names and shapes that mkosi uses; secrets only where they are asked for. */
export function imageJson(
  image: ResolvedImage,
  options: { readonly revealSecrets: boolean },
): Readonly<Record<string, Json>> {
  const members = settingRows.map(({ name, setting: { codec } }): [string, Json] => {
    const { value } = image.resolved(name);
    if (value === undefined) return [name, null];
    const shown = options.revealSecrets || codec.redact === undefined ? value : codec.redact(value);
    return [name, codec.json(shown)];
  });
  return { Image: image.name, ...Object.fromEntries(members), ...buildSubdirectory(image) };
}

/** What `imageJson` says beside settings and the image's name: it follows from them. */
export const derivedMembers: readonly string[] = ['BuildSubdirectory'];

/** The part of BuildDirectory= that BuildKey= names. */
function buildSubdirectory(image: ResolvedImage): Readonly<Record<string, Json>> {
  const { BuildDirectory: directory, BuildKey: key } = image.config;
  if (directory === undefined) return {};
  const below = expandKey(image, key);
  return { BuildSubdirectory: below === '-' ? directory : join(directory, below) };
}

/** Settings that name scripts of an image. */
export const scriptSettings = [
  'SyncScripts',
  'PrepareScripts',
  'BuildScripts',
  'PostInstallationScripts',
  'FinalizeScripts',
  'PostOutputScripts',
  'CleanScripts',
] as const satisfies readonly SettingName[];

/**
 * Files that have to be there when an image is built, although its configuration can be shown without them: extra trees
 * and initrds, which other images of the project may make, and scripts, which must be executable.
 */
export function missingInputs(image: ResolvedImage, files: ConfigFiles): readonly Diagnostic[] {
  const { config } = image;
  const sources: (readonly [SettingName, HostPath])[] = [
    ...config.ExtraTrees.map(({ source }) => ['ExtraTrees', source] as const),
    ...config.BaseTrees.map((path) => ['BaseTrees', path] as const),
    ...config.BuildSources.map(({ source }) => ['BuildSources', source] as const),
    ...config.Initrds.flatMap((path) => (path === 'default' ? [] : [['Initrds', path] as const])),
  ];
  const scripts = scriptSettings.flatMap((setting) =>
    config[setting].map((path) => [setting, path] as const),
  );
  const missing = sources
    .filter(([, path]) => files.stat(path) === undefined)
    .map(([setting, path]) =>
      inputFault(image, setting, { path, code: 'missing-file', what: 'does not exist' }),
    );
  const inert = scripts
    .filter(([, path]) => !config.MakeScriptsExecutable && files.stat(path)?.executable !== true)
    .map(([setting, path]) => ({
      ...inputFault(image, setting, { path, code: 'script-not-executable', what: 'is not executable' }),
      hint: `Run chmod +x ${path}.`,
    }));
  return [...missing, ...inert];
}

function inputFault(
  image: ResolvedImage,
  setting: SettingName,
  { path, code, what }: { readonly path: HostPath; readonly code: string; readonly what: string },
): Diagnostic {
  const place = image
    .resolved(setting)
    .entries.find(({ value }) => value === path || (isTree(value) && value.source === path));
  return {
    severity: 'error',
    code,
    message: `${path} ${what} (${setting}=)`,
    ...(place && { origin: place.origin }),
  };
}

function isTree(value: unknown): value is { readonly source: HostPath } {
  return typeof value === 'object' && value !== null && 'source' in value;
}

function originOf({ setting: { codec } }: SettingRow, { entries }: Resolved, item?: string | number): Origin {
  const found =
    typeof item === 'number' ? entries[item] : entries.findLast(({ value }) => codec.label(value) === item);
  return (found ?? entries.at(-1))?.origin ?? { kind: 'default' };
}

/** A list that is not there says no more than an empty one. */
function showValue({ setting: { codec } }: SettingRow, value: unknown): string {
  return value === undefined ? '' : codec.show(value);
}

function readEnvironmentFiles(loading: ImageLoading, config: ImageConfig): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const path of config.EnvironmentFiles) {
    const file = parseEnvironmentFile(path, loading.world.files.read(path));
    Object.assign(variables, file.variables);
    loading.faults.push(...file.faults);
  }
  return variables;
}
