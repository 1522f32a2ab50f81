import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { productDirectory } from './product.ts';

/** Version of mkimg, from the package.json beside `src` or `dist`. */
export async function productVersion(): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(join(productDirectory, 'package.json'), 'utf8'));
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) {
    if (typeof manifest.version === 'string') return manifest.version;
  }
  throw new Error('internal: package.json has no version');
}
