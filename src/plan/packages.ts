import type { PlannedImage } from './image.ts';
import type { PackageRequest } from './vocabulary.ts';

/** What the package manager is asked for. */
export function packageRequest(image: PlannedImage, names: readonly string[]): PackageRequest {
  return {
    names,
    recommends: image.config.WithRecommends,
    packageDirectories: image.config.PackageDirectories.map((path) => ({ $host: path })),
  };
}
