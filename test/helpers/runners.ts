import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import { namespaceArgv } from '../../src/sandbox/namespace.ts';
import type { PrivilegeMode } from '../../src/sandbox/types.ts';
import { isRoot, ordinaryUserPrefix } from './ordinary-user.ts';
import { transpileInto } from './transpiled.ts';

const nodeModules = resolve(import.meta.dirname, '../../node_modules');
const hasSubordinateIds = isRoot || readFileSync('/etc/subuid', 'utf8').includes(process.env['USER'] ?? '\0');

/** Who runs a program of `installProgram`, and in which mode mkimg then works. */
export interface Runner {
  readonly name: string;
  readonly mode: PrivilegeMode;
  /** Words to put before the command. */
  prefix(scratch: HostPath): Promise<readonly string[]>;
}

const root: Runner = {
  name: 'root',
  mode: 'root',
  prefix: (scratch) =>
    Promise.resolve([
      ...['unshare', '--mount', 'sh', '-c'],
      ...[`mount --bind ${nodeModules} ${scratch}/node_modules && exec "$@"`, 'sh'],
    ]),
};

function ordinaryUser(name: string, mode: 'subids' | 'single-id'): Runner {
  return {
    name,
    mode,
    prefix: (scratch) =>
      isRoot
        ? ordinaryUserPrefix({
            scratch,
            hasSubordinateIds: mode === 'subids',
            binds: { node_modules: nodeModules },
          })
        : Promise.resolve([]),
  };
}

export const withoutIds = ordinaryUser('an ordinary user without subordinate ids', 'single-id');

/** Everybody as whom this machine lets the tests run. */
export const runners: readonly Runner[] = [
  ...(isRoot ? [root] : []),
  ...(hasSubordinateIds ? [ordinaryUser('an ordinary user with subordinate ids', 'subids')] : []),
  withoutIds,
];

/**
 * Makes a directory that every runner can read, with these modules of the repository as JavaScript (see `transpileInto`).
 * To be removed with `removeProgram`.
 */
export async function installProgram(prefix: string, modules: readonly string[]): Promise<HostPath> {
  const scratch = hostPath(await mkdtemp(join('/var/tmp', prefix)));
  chmodSync(scratch, 0o755);
  transpileInto(scratch, modules);
  if (isRoot) mkdirSync(join(scratch, 'node_modules'));
  else symlinkSync(nodeModules, join(scratch, 'node_modules'));
  return scratch;
}

/** Files that belong to subordinate ids are the user's only inside the namespace. */
export function removeProgram(scratch: HostPath): void {
  const prefix = isRoot || !hasSubordinateIds ? [] : namespaceArgv('subids');
  const [file, ...args] = [...prefix, 'rm', '-rf', scratch] as const;
  spawnSync(file, args);
}
