import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import type { PlannedImage } from './image.ts';
import type { Ref } from './step.ts';
import type { MadePackages, PackageDirectory, PackageRequest } from './vocabulary.ts';

/** What a resolution of an image's packages builds on. */
export interface PackageScene {
  /** Packages that are there already. */
  readonly installed?: Ref<'file'>;
  /** A tree whose packages are there already. */
  readonly installedIn?: Ref<'tree'>;
  /** Package files besides those of PackageDirectories= and of images built before. */
  readonly more?: readonly PackageDirectory[];
}

/** What the package manager is asked for. */
export function packageRequest(
  image: PlannedImage,
  names: readonly string[],
  { installed, installedIn, more = [] }: PackageScene = {},
): PackageRequest {
  const files = names.filter((name) => name.startsWith('/')).map((name) => ({ $host: hostPath(name) }));
  return {
    names,
    ...(files.length === 0 ? {} : { files }),
    ...(installed === undefined ? {} : { installed }),
    ...(installedIn === undefined ? {} : { installedIn }),
    recommends: image.config.WithRecommends,
    packageDirectories: [
      ...packageDirectories(image, 'PackageDirectories'),
      ...image.others.packages().map((products) => ({ products })),
      ...more,
    ],
  };
}

/** Directories of package files that a setting names; those inside outputs of other images as what makes them. */
export function packageDirectories(
  image: PlannedImage,
  setting: 'PackageDirectories' | 'VolatilePackageDirectories',
): readonly PackageDirectory[] {
  return image.config[setting].map((path) => packageDirectory(image, path, setting));
}

function packageDirectory(
  { others }: PlannedImage,
  path: HostPath,
  setting: 'PackageDirectories' | 'VolatilePackageDirectories',
): PackageDirectory {
  const made = others.outputAt(path, setting);
  return made?.tree === undefined ? { $host: path } : { tree: made.tree, inside: made.inside };
}

/** Where an installation finds the local packages that a request may end in; none of it counts in its key. */
export function packageSources({ packageDirectories: directories }: PackageRequest): readonly MadePackages[] {
  return directories.flatMap((directory): MadePackages[] => {
    if ('$host' in directory) return [];
    return 'tree' in directory
      ? [{ ...directory, tree: { ...directory.tree, unkeyed: true } }]
      : [{ products: { ...directory.products, unkeyed: true } }];
  });
}
