import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { byBytes } from '../../base/canonical.ts';
import { isErrno } from '../../base/errors.ts';
import type { HostPackage } from '../../distro/host-packages.ts';
import { parseHostPackages } from '../../distro/host-packages.ts';
import { resolveInTree } from '../../sandbox/resolve.ts';

/** dpkg's database of a running system. Paths in it are bytes as Latin-1. */
export interface HostDatabase {
  readonly root: HostPath;
  /** `info/`. */
  readonly info: HostPath;
  readonly packages: readonly HostPackage[];
  /** Where dpkg has put a file of one package because another wants its place, by path. */
  readonly diversions: ReadonlyMap<string, Diversion>;
  /** Paths, without the leading slash, whose owner and mode somebody has set. */
  readonly overrides: ReadonlySet<string>;
}

export interface Diversion {
  readonly to: string;
  /** The package that wants the place, and whose own file is there; absent for one that the administrator made. */
  readonly by: string | undefined;
}

/** Reads the database below `root`; without one, there are no packages. */
export async function readHostDatabase(root: HostPath): Promise<HostDatabase> {
  const { path: directory } = await resolveInTree(root, 'var/lib/dpkg', 'follow');
  const { path: info } = await resolveInTree(root, 'var/lib/dpkg/info', 'follow');
  return {
    root,
    info,
    packages: parseHostPackages(statusTexts(directory)),
    diversions: parseDiversions(textOf(join(directory, 'diversions'))),
    overrides: parseOverrides(textOf(join(directory, 'statoverride'))),
  };
}

/** The status file, and what a dpkg that runs, or was cut off, has noted since. */
export function statusTexts(directory: string): string[] {
  const updates = namesOf(join(directory, 'updates')).filter((name) => /^[0-9]+$/.test(name));
  return ['status', ...updates.sort(byBytes).map((name) => `updates/${name}`)].map((name) =>
    textOf(join(directory, name)),
  );
}

/** Groups of three lines: the path, where it was diverted to, the package (`:` for the administrator). */
export function parseDiversions(text: string): ReadonlyMap<string, Diversion> {
  const lines = text.split('\n');
  const diversions = new Map<string, Diversion>();
  for (let index = 0; index + 2 < lines.length; index += 3) {
    const [from = '', to = '', by = ''] = lines.slice(index, index + 3);
    if (!from.startsWith('/') || !to.startsWith('/')) continue;
    diversions.set(from.slice(1), { to: to.slice(1), by: by === ':' ? undefined : by });
  }
  return diversions;
}

/** Lines of user, group, mode and path. */
export function parseOverrides(text: string): ReadonlySet<string> {
  const paths = text.split('\n').flatMap((line) => /^\S+ \S+ \S+ \/(.+)$/.exec(line)?.[1] ?? []);
  return new Set(paths);
}

/** Content as Latin-1; empty where there is no file. */
export function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return '';
    throw error;
  }
}

export function namesOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}
