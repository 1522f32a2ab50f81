import { readFile } from 'node:fs/promises';
import { installationBytes, parseResolvedPackages } from '../distro/resolved.ts';

/** Bytes that the packages of a resolution take, for steps that bring them into the store or into a tree. */
export async function packagesNeed({
  resolved,
}: {
  readonly resolved: { readonly path: string };
}): Promise<number> {
  return installationBytes(parseResolvedPackages(await readFile(resolved.path, 'utf8')).packages);
}
