import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sha256 } from '../../base/brand.ts';
import { byBytes, digestJson, sha256 } from '../../base/canonical.ts';
import { isErrno } from '../../base/errors.ts';
import type { ArchitectureName } from '../../distro/architectures/index.ts';
import { architectures } from '../../distro/architectures/index.ts';
import type { RepositorySet } from '../../distro/repositories.ts';
import type { Opened } from '../../plan/step.ts';

/** The repositories of one image with all that decides which package indexes apt fetches for it. */
export interface AptSources {
  readonly set: Opened<RepositorySet>;
  /** Debian's names; the image's own first, then those that requests such as `libc6:i386` add. */
  readonly architectures: readonly string[];
}

/** A repository set as the plan has it, for use before the engine has opened it. */
export function openRepositorySet(set: RepositorySet): Opened<RepositorySet> {
  return {
    ...set,
    repositories: set.repositories.map(({ signedBy, ...rest }) =>
      signedBy === undefined ? rest : { ...rest, signedBy: { path: signedBy.$host } },
    ),
    sandboxTrees: set.sandboxTrees.map((tree) => ({ path: tree.$host })),
  };
}

/** The architectures that a request needs indexes of. */
export function requestArchitectures(architecture: ArchitectureName, names: readonly string[]): string[] {
  const known: readonly string[] = Object.values(architectures).map(({ names: { debian } }) => debian);
  const qualifiers = names.flatMap((name) => /^[^/=]+:([a-z0-9-]+)(?:[=/].*)?$/.exec(name)?.[1] ?? []);
  const foreign = [...new Set(qualifiers)].filter((qualifier) => known.includes(qualifier)).sort(byBytes);
  const native = architectures[architecture].names.debian;
  return [native, ...foreign.filter((name) => name !== native)];
}

/**
 * Names the directory in which the indexes of these repositories are kept. Images share it that differ only in what they
 * accept (checkValidUntil) or install.
 */
export async function repositorySetDigest({ set, architectures: names }: AptSources): Promise<Sha256> {
  const repositories = await Promise.all(
    set.repositories.map(async ({ signedBy, ...repository }) => ({
      ...repository,
      signedBy: signedBy === undefined ? undefined : await fileDigest(signedBy.path),
    })),
  );
  const trees = await Promise.all(set.sandboxTrees.map((tree) => treeDigest(join(tree.path, 'etc/apt'))));
  return digestJson({
    repositories,
    checkSignatures: set.checkSignatures,
    trees,
    architectures: names,
  });
}

async function fileDigest(path: string): Promise<Sha256 | null> {
  try {
    return sha256(await readFile(path));
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES')) return null;
    throw error;
  }
}

/** Names and contents of the files below a directory; null when there is none. */
async function treeDigest(directory: string): Promise<Sha256 | null> {
  try {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    const files = entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name));
    const members = files
      .sort(byBytes)
      .map(async (path) => [path.slice(directory.length), await fileDigest(path)]);
    return digestJson(await Promise.all(members));
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return null;
    throw error;
  }
}
