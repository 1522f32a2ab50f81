import type { ImageName } from '../base/brand.ts';
import { imageName } from '../base/brand.ts';
import type { Diagnostic } from '../base/diagnostic.ts';
import { readDefaultInitrd, readToolsTree } from './companions.ts';
import { configureImage } from './configure.ts';
import { noteUnknownProfiles } from './directory.ts';
import { valuesOf } from './hand-down.ts';
import type { Need } from './image-order.ts';
import { orderImages } from './image-order.ts';
import type { ImageLoading, Prefix } from './loading.ts';
import { currentEntries, currentValue, fallbackContext } from './loading.ts';
import type { ResolvedImage } from './resolved-image.ts';
import { settingRow } from './settings/table.ts';
import { readSubimages } from './subimages.ts';
import type { Resolved } from './values.ts';
import type { BootTestDefinition } from './tests/definition.ts';
import { readTests } from './tests/reading.ts';
import { isAssigned, resolve } from './values.ts';

/** All images of a project, worked out. */
export interface ReadImages {
  /** In the order in which they are built; the main image comes last. */
  readonly images: readonly ResolvedImage[];
  readonly main: ResolvedImage;
  readonly tools: ResolvedImage | undefined;
  /** Those of mkimg.tests/, where they were asked for. */
  readonly tests: ReadonlyMap<ImageName, readonly BootTestDefinition[]>;
  /** Of all of them. */
  readonly faults: readonly Diagnostic[];
}

/** An image and what it waits for. */
interface Waiting {
  readonly loading: ImageLoading;
  readonly needs: readonly Need[];
}

/** Reads the images that belong to the main image, whose own configuration was read, and puts all in order. */
export function readImages(
  main: ImageLoading,
  prefix: Prefix,
  { readsTests }: { readonly readsTests: boolean },
): ReadImages {
  const mainValues = valuesOf(main);
  const tools = currentValue(main, 'ToolsTree') === 'default' ? readToolsTree(mainValues, prefix) : undefined;
  const { images: subimages, skipped } = readSubimages(mainValues, prefix);
  const needInitrd = [...subimages, main].filter(wantsDefaultInitrd);
  const initrd = needInitrd.length > 0 ? readDefaultInitrd(mainValues, prefix) : undefined;
  const waiting = subimages.map((loading) => waitingImage(loading, subimages));
  if (initrd !== undefined) waiting.push({ loading: initrd, needs: [] });
  const { needs } = waitingImage(main, subimages);
  const order = orderImages(
    waiting.map(({ loading, needs: wanted }) => ({ name: loading.name, needs: wanted })),
    needs,
    skipped,
  );
  const finishedTools = tools && configureImage(tools, new Map());
  noteUnknownProfiles(main, prefix);
  const byName = new Map(waiting.map((image) => [image.loading.name, image]));
  const ordered = order.names.flatMap((name) => byName.get(name) ?? []);
  const images = [...ordered, { loading: main, needs }].map(finishWaiting);
  const tests = readsTests
    ? [...subimages, main].map((image) => [image.name, readTests(image, prefix)] as const)
    : [];
  return {
    images,
    main: images[images.length - 1] as ResolvedImage,
    tools: finishedTools,
    faults: [main, ...subimages, tools, initrd]
      .flatMap((loading) => loading?.faults ?? [])
      .concat(order.faults)
      .concat(tests.flatMap(([, { faults }]) => faults)),
    tests: new Map(tests.map(([name, read]) => [name, read.tests])),
  };
}

function wantsDefaultInitrd(loading: ImageLoading): boolean {
  return (currentValue(loading, 'Initrds') as readonly string[]).includes('default');
}

/** Dependencies= as they are; those of the main image are all images unless it says otherwise. */
function waitingImage(loading: ImageLoading, subimages: readonly ImageLoading[]): Waiting {
  const named: Need[] =
    loading.role === 'main' && !isAssigned(loading.values, 'Dependencies')
      ? subimages.map(({ name }) => ({ name, origin: { kind: 'default' } }))
      : currentEntries(loading, 'Dependencies').map(({ value, origin }) => ({
          name: imageName(value as string),
          origin,
        }));
  const initrd: Need[] = wantsDefaultInitrd(loading)
    ? [{ name: imageName('default-initrd'), origin: initrdOrigin(loading) }]
    : [];
  return { loading, needs: [...named, ...initrd] };
}

function initrdOrigin(loading: ImageLoading): Need['origin'] {
  return (
    currentEntries(loading, 'Initrds').find(({ value }) => value === 'default')?.origin ?? { kind: 'default' }
  );
}

function finishWaiting({ loading, needs }: Waiting): ResolvedImage {
  const value: readonly ImageName[] = needs.map(({ name }) => name);
  const dependencies: Resolved = {
    value,
    entries: needs.map(({ name, origin }) => ({ value: name, origin })),
    isDefault: !isAssigned(loading.values, 'Dependencies'),
    idleRemovals: resolve(loading.values, settingRow('Dependencies'), fallbackContext(loading)).idleRemovals,
  };
  return configureImage(loading, new Map([['Dependencies', dependencies]]));
}
