import { hostPath } from '../base/brand.ts';
import type { PlannedImage } from './image.ts';
import type { PackageRequest } from './vocabulary.ts';

/** What the package manager is asked for. */
export function packageRequest(image: PlannedImage, names: readonly string[]): PackageRequest {
  const files = names.filter((name) => name.startsWith('/')).map((name) => ({ $host: hostPath(name) }));
  return {
    names,
    ...(files.length === 0 ? {} : { files }),
    recommends: image.config.WithRecommends,
    packageDirectories: image.config.PackageDirectories.map((path) => ({ $host: path })),
  };
}
