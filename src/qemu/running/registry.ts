import { lstat, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { byBytes, isObject } from '../../base/canonical.ts';
import { isErrno, MkimgError } from '../../base/errors.ts';
import { namesIn, readTextIfExists } from '../../base/files.ts';
import { currentOwner, formatOwner, isAlive, parseOwner } from '../../base/owner.ts';

/** How to log in to a running machine. */
export type SshAccess = { readonly key: HostPath } & (
  | { readonly kind: 'port'; readonly port: number }
  /** On the host's vsock(7). */
  | { readonly kind: 'vsock'; readonly cid: number }
);

/** A machine that a mkimg of this user runs, as other runs of mkimg find it. */
export interface RunningMachine {
  readonly name: string;
  /** The process that runs it; see owner.ts. */
  readonly owner: string;
  /** The image's main output. */
  readonly image: HostPath;
  /** UNIX socket of its console. */
  readonly console?: HostPath;
  readonly ssh?: SshAccess;
}

/** A machine that is listed until the end of the scope. */
export interface Registration extends AsyncDisposable {
  /** The name that was wished for, or that with a number where another machine has it. */
  readonly name: string;
}

/**
 * Where the machines of a user are listed: $XDG_RUNTIME_DIR/mkimg; without one /run/mkimg for root, a directory of /tmp for
 * others.
 */
export function registryPlace(environment: NodeJS.ProcessEnv, uid: number): HostPath {
  const runtime = environment['XDG_RUNTIME_DIR'];
  if (runtime?.startsWith('/') === true) return hostPath(join(runtime, 'mkimg'));
  return hostPath(uid === 0 ? '/run/mkimg' : `/tmp/mkimg-${uid}`);
}

/**
 * Makes the directory, for this user alone.
 * @throws MkimgError `runtime-directory` when somebody else's, or something else, stands there: /tmp is for everybody
 */
export async function openRegistry(place: HostPath): Promise<void> {
  try {
    await mkdir(place, { recursive: true, mode: 0o700 });
    const stats = await lstat(place);
    if (stats.isDirectory() && stats.uid === process.getuid?.() && (stats.mode & 0o077) === 0) return;
  } catch (error) {
    if (!isErrno(error, 'EEXIST', 'EACCES', 'EPERM', 'EROFS', 'ENOENT', 'ENOTDIR')) throw error;
  }
  throw new MkimgError('runtime-directory', `${place} is not a directory of this user alone`, {
    hint: 'Remove it, or set XDG_RUNTIME_DIR to a directory that only this user can read.',
  });
}

/** A name that can be part of a file name. Pure. */
export function machineName(wished: string): string {
  const name = wished.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[.-]+/, '');
  return name === '' ? 'machine' : name.slice(0, 64);
}

/** Lists a machine. Where a machine of that name runs already, it gets the next free number: image, image-2, image-3. */
export async function registerMachine(
  place: HostPath,
  machine: Omit<RunningMachine, 'owner'>,
): Promise<Registration> {
  await openRegistry(place);
  const owner = formatOwner(currentOwner());
  for (let number = 1; ; number++) {
    const name = number === 1 ? machine.name : `${machine.name}-${number}`;
    const path = recordFile(place, name);
    if ((await readRecord(place, name)) !== undefined) continue;
    // What a killed run left behind.
    await rm(path, { force: true });
    try {
      await writeFile(path, `${JSON.stringify({ ...machine, name, owner })}\n`, { flag: 'wx', mode: 0o600 });
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
      continue;
    }
    return { name, [Symbol.asyncDispose]: () => rm(path, { force: true }) };
  }
}

/** @throws MkimgError `machine-not-running`, with the names of those that run */
export async function findMachine(place: HostPath, name: string): Promise<RunningMachine> {
  const found = await readRecord(place, name);
  if (found !== undefined) return found;
  const others = (await runningMachines(place)).map((machine) => machine.name);
  throw new MkimgError('machine-not-running', `no machine called ${name} runs here`, {
    hint:
      others.length === 0
        ? 'Start it with `mkimg qemu`.'
        : `Start it with \`mkimg qemu\`, or name one that runs with --machine=: ${others.join(', ')}.`,
    class: 'usage',
  });
}

/** The machine of this name where one runs. */
export async function readRecord(place: HostPath, name: string): Promise<RunningMachine | undefined> {
  const record = parseRecord(await readTextIfExists(recordFile(place, name)));
  const owner = record === undefined ? undefined : parseOwner(record.owner);
  return owner !== undefined && isAlive(owner, Date.now()) ? record : undefined;
}

/** All of this user's, by name. */
export async function runningMachines(place: HostPath): Promise<readonly RunningMachine[]> {
  const names = (await namesIn(place, 'EACCES'))
    .filter((name) => name.endsWith(suffix))
    .map((name) => name.slice(0, -suffix.length))
    .sort(byBytes);
  const records = await Promise.all(names.map((name) => readRecord(place, name)));
  return records.filter((record) => record !== undefined);
}

const suffix = '.json';

function recordFile(place: HostPath, name: string): HostPath {
  return hostPath(join(place, `${machineName(name)}${suffix}`));
}

/** undefined for what registerMachine() did not write. */
export function parseRecord(text: string | undefined): RunningMachine | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text ?? 'null');
  } catch {
    return undefined;
  }
  if (!isObject(value)) return undefined;
  const { name, owner, image, console } = value;
  if (typeof name !== 'string' || typeof owner !== 'string' || !isPath(image)) return undefined;
  const ssh = parseAccess(value['ssh']);
  return {
    ...{ name, owner, image },
    ...(isPath(console) ? { console } : {}),
    ...(ssh === undefined ? {} : { ssh }),
  };
}

function parseAccess(value: unknown): SshAccess | undefined {
  if (!isObject(value) || !isPath(value['key'])) return undefined;
  const { kind, key, port, cid } = value;
  if (kind === 'port' && typeof port === 'number') return { kind, port, key };
  return kind === 'vsock' && typeof cid === 'number' ? { kind, cid, key } : undefined;
}

function isPath(value: unknown): value is HostPath {
  return typeof value === 'string' && value.startsWith('/');
}
