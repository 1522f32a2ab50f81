import type { Diagnostic } from '../base/diagnostic.ts';
import { distinct } from './reading.ts';
import type { ResolvedImage } from './resolved-image.ts';
import type { ImageConfig, SettingName, SettingRow } from './settings/table.ts';
import { settingRows } from './settings/table.ts';
import type { BuildableValues } from './settings/values.ts';

/** A configuration in which every value has an effect: without those of mkosi that mkimg does not know how to do yet. */
export type BuildableConfig = Omit<ImageConfig, keyof BuildableValues> & BuildableValues;

/**
 * A configuration whose image `unsupportedValues` found nothing in.
 * @throws Error when there is such a value all the same
 */
export function buildable(config: ImageConfig): BuildableConfig {
  for (const { name, setting } of settingRows.filter(isForImage)) {
    const value: unknown = config[name];
    const found = value === undefined ? undefined : laterItems(setting.codec, value)[0];
    if (found !== undefined) throw new Error(`internal: ${name}=${found} was to be refused before`);
  }
  // The loop has looked at each value.
  return config as BuildableConfig;
}

/** What only a running image needs; building it does not have to refuse it. */
export type Purpose = 'build' | 'run';

/**
 * Values that mkosi knows and mkimg has no effect for yet, each with the place where it was given. What the tools tree shall
 * be made of is looked at in the image of the tools tree.
 */
export function unsupportedValues(image: ResolvedImage, purpose: Purpose): readonly Diagnostic[] {
  return settingRows
    .filter(({ section }) => purpose === 'run' || section !== 'Runtime')
    .filter(isForImage)
    .flatMap(({ name, setting: { codec } }) => {
      const { value } = image.resolved(name);
      const known = (codec.choices ?? []).filter((word) => codec.later?.includes(word) !== true);
      return value === undefined
        ? []
        : laterItems(codec, value).map((item): Diagnostic => ({
            severity: 'error',
            code: 'unsupported-value',
            message: `${name}=${item} is not supported yet`,
            origin: image.originOf(name, item),
            hint: `Supported: ${known.join(', ')}.`,
          }));
    });
}

/**
 * The same for the images of a project. What an image of them hands down to others is told once, at the line of that image.
 */
export function unsupportedInProject(
  images: readonly ResolvedImage[],
  purpose: Purpose,
): readonly Diagnostic[] {
  const names = new Set<string>(images.map(({ name }) => name));
  const found = images.flatMap((image) => unsupportedValues(image, purpose));
  return distinct(found).filter(({ origin }) => origin?.kind !== 'inherited' || !names.has(origin.image));
}

function isForImage({ setting }: SettingRow): boolean {
  return setting.scope !== 'tools';
}

/** Settings that somebody gave another value than the default and that have no effect yet, in the order of the table. */
export function settingsWithoutEffect(image: ResolvedImage): readonly SettingName[] {
  const isIdle = (name: SettingName): boolean => image.name === 'tools' && idleInTools.includes(name);
  return settingRows
    .filter(({ name, setting }) => (setting.effect === 'later' || isIdle(name)) && !image.isDefault(name))
    .map(({ name }) => name);
}

/** A tools tree is made of packages only. */
const idleInTools: readonly SettingName[] = ['SyncScripts', 'PrepareScripts'];

type AnyCodec = (typeof settingRows)[number]['setting']['codec'];

function laterItems(codec: AnyCodec, value: unknown): readonly string[] {
  const { later = [] } = codec;
  if (later.length === 0) return [];
  return codec
    .items(value)
    .map((item) => codec.label(item))
    .filter((label) => later.includes(label));
}
