import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readTextIfExists } from '../base/files.ts';
import { productDirectory } from './product.ts';

/** Version of mkimg, from the package.json beside `src` or `dist`. */
export async function productVersion(): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(join(productDirectory, 'package.json'), 'utf8'));
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) {
    if (typeof manifest.version === 'string') return manifest.version;
  }
  throw new Error('internal: package.json has no version');
}

/**
 * The version, and what tells two builds of it apart: the digest that scripts/bundle.mjs leaves beside the program. Without
 * one, as in tests, the version alone.
 */
export async function productBuild(): Promise<string> {
  const digest = await readTextIfExists(join(productDirectory, 'dist/cli/main.sha256'));
  return [await productVersion(), ...(digest === undefined ? [] : [digest.trim()])].join(' ');
}
