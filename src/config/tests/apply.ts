import type { ResolvedImage } from '../resolved-image.ts';
import type { BootTestDefinition } from './definition.ts';

/** The image with what [Runtime] of a test says. */
export function withTestSettings(
  image: ResolvedImage,
  { runtime }: Pick<BootTestDefinition, 'runtime'>,
): ResolvedImage {
  const changed = [...runtime].map(([name, { value }]) => [name, value] as const);
  return {
    ...image,
    // The values were made by the codecs of these settings.
    config: { ...image.config, ...Object.fromEntries(changed) },
    resolved: (name) => runtime.get(name) ?? image.resolved(name),
    isDefault: (name) => !runtime.has(name) && image.isDefault(name),
    originOf: (name, item) => runtime.get(name)?.entries.at(-1)?.origin ?? image.originOf(name, item),
  };
}
