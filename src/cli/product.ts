import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';

/**
 * The directory of mkimg's package.json. Searched upwards, because the same module runs from its place in `src` or `dist`
 * and as a part of the bundle `dist/cli/main.js`.
 */
export const productDirectory = nearestPackage(dirname(fileURLToPath(import.meta.url)));

function nearestPackage(directory: string): HostPath {
  if (existsSync(join(directory, 'package.json'))) return hostPath(directory);
  if (dirname(directory) === directory) throw new Error('internal: there is no package.json above mkimg');
  return nearestPackage(dirname(directory));
}
