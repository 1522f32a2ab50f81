import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { isErrno, MkimgError } from '../base/errors.ts';
import { makeDirectory } from '../base/files.ts';

/** Where everything stands that mkimg keeps between runs. */
export interface CacheLayout {
  readonly root: HostPath;
  /** Results by key, one directory each. */
  readonly store: HostPath;
  /** Results being made; see staging.ts. On the store's file system, so that a commit is a rename. */
  readonly staging: HostPath;
  /** Downloaded packages by SHA-256. */
  readonly packages: HostPath;
  /** Package indexes by repository set. */
  readonly metadata: HostPath;
  /** Digest cache, locks, publish records, the key for hashing secrets. */
  readonly state: HostPath;
}

/** What decides where the cache is. */
export interface CacheLocation {
  /** `CacheDirectory=` or its flag; wins. */
  readonly setting: HostPath | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** User id on the machine, not the one inside a user namespace. */
  readonly uid: number;
}

/**
 * The cache directory: the setting, else $XDG_CACHE_HOME/mkimg, else /var/cache/mkimg for root and ~/.cache/mkimg for
 * others. A relative $XDG_CACHE_HOME is ignored, as the XDG Base Directory Specification demands.
 */
export function cacheDirectory(location: CacheLocation): HostPath {
  if (location.setting !== undefined) return location.setting;
  const xdg = location.environment['XDG_CACHE_HOME'];
  if (xdg?.startsWith('/') === true) return hostPath(join(xdg, 'mkimg'));
  if (location.uid === 0) return hostPath('/var/cache/mkimg');
  return hostPath(join(location.environment['HOME'] ?? homedir(), '.cache/mkimg'));
}

/** The places below one cache directory. */
export function cacheLayout(root: HostPath): CacheLayout {
  return {
    root,
    store: hostPath(join(root, 'store')),
    staging: hostPath(join(root, 'store/.staging')),
    packages: hostPath(join(root, 'packages')),
    metadata: hostPath(join(root, 'metadata')),
    state: hostPath(join(root, 'state')),
  };
}

/**
 * Makes the directories that are missing. The store and the state are closed to other users: trees hold set-uid programs
 * of images, which nobody must be able to start on the host.
 * @throws MkimgError `cache-not-writable`
 */
export async function createLayout(layout: CacheLayout): Promise<void> {
  try {
    await makeDirectory(layout.root);
    for (const directory of [layout.store, layout.staging, layout.state]) {
      await makeDirectory(directory, 0o700);
    }
    await makeDirectory(layout.packages);
    await makeDirectory(layout.metadata);
  } catch (error) {
    if (!isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'ENOENT')) throw error;
    throw new MkimgError('cache-not-writable', `Cannot write to the cache directory ${layout.root}`, {
      hint: 'Name a directory of yours with CacheDirectory= or $XDG_CACHE_HOME.',
      class: 'usage',
      cause: error,
    });
  }
}

/** Where a step leaves what it made beside its tree; `tree` is the tree in the step's entry, or in the stage of one. */
export function productsPath(tree: string): HostPath {
  return hostPath(join(dirname(tree), 'products'));
}
