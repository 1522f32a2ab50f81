import { readFile, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath, StepKey } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { isObject, sha256 } from '../base/canonical.ts';
import { isErrno } from '../base/errors.ts';
import { makeDirectory, modifiedAt, namesIn, writeCacheFile } from '../base/files.ts';
import { isKey } from './record.ts';

/** A project that was built with this cache. */
export interface CacheProject {
  /** Its configuration directory. */
  readonly directory: HostPath;
  /** The results that its last build stood on, whether it touched them or not. */
  readonly keys: readonly StepKey[];
  /** When it was built or found up to date last, in milliseconds since the epoch. */
  readonly lastUsed: number;
}

/** Notes what a build of the project in `directory` stands on. */
export async function noteProject(
  state: HostPath,
  directory: HostPath,
  keys: readonly StepKey[],
): Promise<void> {
  await makeDirectory(projectsDirectory(state), 0o700);
  const text = `${JSON.stringify({ directory, keys: [...new Set(keys)].sort() })}\n`;
  await writeCacheFile(projectPath(state, directory), text, 0o600);
}

/** Notes that the project in `directory` was used now, on the results that its last build stood on. */
export async function touchProject(state: HostPath, directory: HostPath): Promise<void> {
  const now = new Date();
  try {
    await utimes(projectPath(state, directory), now, now);
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'EROFS')) throw error;
  }
}

/** All projects, the one that was used last first. */
export async function listProjects(state: HostPath): Promise<readonly CacheProject[]> {
  const projects: CacheProject[] = [];
  for (const name of await namesIn(projectsDirectory(state))) {
    const project = await readProject(join(projectsDirectory(state), name));
    if (project !== undefined) projects.push(project);
  }
  return projects.sort((left, right) => right.lastUsed - left.lastUsed);
}

async function readProject(path: string): Promise<CacheProject | undefined> {
  const lastUsed = (await modifiedAt(path)) ?? 0;
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError || isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
  if (!isObject(value)) return undefined;
  const { directory, keys } = value;
  if (typeof directory !== 'string' || !directory.startsWith('/') || !Array.isArray(keys)) return undefined;
  return { directory: hostPath(directory), keys: keys.filter(isKey), lastUsed };
}

function projectsDirectory(state: HostPath): string {
  return join(state, 'projects');
}

function projectPath(state: HostPath, directory: HostPath): string {
  return join(projectsDirectory(state), sha256(directory));
}
