import { readFile } from 'node:fs/promises';
import { release, userInfo } from 'node:os';
import type { HostPath } from '../base/brand.ts';
import { digestJson, isObject } from '../base/canonical.ts';
import { exists, readTextIfExists, writeCacheFile } from '../base/files.ts';
import { MkimgError } from '../base/errors.ts';
import { silentEvents } from '../base/events.ts';
import { findOnPath, systemDirectories } from './lookup.ts';
import { runAttached, runProgram } from './process.ts';
import type { PrivilegeMode } from './types.ts';

/** Marks the inner process; its value is the mode. */
const marker = 'MKIMG_NAMESPACE';
/** User id of the outer process. */
const callerMark = 'MKIMG_CALLER_UID';
const modes: readonly PrivilegeMode[] = ['root', 'subids', 'single-id'];

/** Ids that Debian's packages give to files go up to 65534 (nobody); 0 is the user. */
const neededIds = 65534;
const capSysAdmin = 21n; // linux/capability.h

export interface Privileges {
  readonly mode: PrivilegeMode;
  /** Why no better mode, for `single-id`: what the user can do about it. */
  readonly reason?: string;
}

/** What decides the mode. */
export interface PrivilegeFacts {
  readonly uid: number;
  readonly userName: string;
  /** CapEff of /proc/self/status. */
  readonly capabilities: bigint;
  /** /proc/self/uid_map. */
  readonly uidMap: string;
  /** /etc/subuid and /etc/subgid. */
  readonly subuid: string;
  readonly subgid: string;
  /** newuidmap and newgidmap are installed. */
  readonly hasMappers: boolean;
}

/**
 * How mkimg may act on trees on this machine, found out by trying.
 * @throws MkimgError `no-user-namespace` when neither root nor a user namespace is to be had.
 */
export async function decidePrivileges(): Promise<Privileges> {
  const wanted = choosePrivileges(await gatherFacts());
  if (await canEnter(wanted.mode)) return wanted;
  if (wanted.mode === 'subids' && (await canEnter('single-id'))) {
    return {
      mode: 'single-id',
      reason:
        'newuidmap could not set up the subordinate ids. Check that it is installed setuid root (package uidmap).',
    };
  }
  throw noNamespace(wanted.mode, await namespaceObstacle());
}

/**
 * The same, taken from `file` where an earlier run on a machine with the same facts wrote it down: starts no process then.
 * Whoever means to enter the namespace has to ask decidePrivileges() once more, for what was remembered may be wrong by now.
 */
export async function recallPrivileges(file: HostPath): Promise<Privileges> {
  const machine = digestJson([JSON.stringify(await gatherFacts(), factText), release()]);
  const remembered = parseRemembered(await readTextIfExists(file));
  if (remembered?.machine === machine) return remembered.privileges;
  const privileges = await decidePrivileges();
  await writeCacheFile(file, `${JSON.stringify({ machine, privileges })}\n`, 0o600);
  return privileges;
}

function factText(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString(16) : value;
}

interface RememberedPrivileges {
  readonly machine: string;
  readonly privileges: Privileges;
}

function parseRemembered(text: string | undefined): RememberedPrivileges | undefined {
  try {
    const value: unknown = JSON.parse(text ?? 'null');
    const privileges = isObject(value) ? value['privileges'] : undefined;
    const isKnown = isObject(privileges) && modes.some((mode) => mode === privileges['mode']);
    return isKnown ? (value as RememberedPrivileges) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** The best mode that the facts allow. Pure. */
export function choosePrivileges(facts: PrivilegeFacts): Privileges {
  const isAdministrator = (facts.capabilities >> capSysAdmin) % 2n === 1n;
  if (facts.uid === 0 && isAdministrator) {
    if (mapsAllIds(facts.uidMap)) return { mode: 'root' };
    return { mode: 'single-id', reason: 'mkimg runs in a user namespace that maps too few ids.' };
  }
  if (!facts.hasMappers) {
    return { mode: 'single-id', reason: 'newuidmap and newgidmap are not installed: apt install uidmap' };
  }
  for (const [file, text] of [
    ['/etc/subuid', facts.subuid],
    ['/etc/subgid', facts.subgid],
  ] as const) {
    if (firstRange(text, facts) < neededIds)
      return { mode: 'single-id', reason: missingRange(file, facts.userName) };
  }
  return { mode: 'subids' };
}

function missingRange(file: string, userName: string): string {
  const command = `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${userName}`;
  return `${file} gives ${userName} no range of 65536 subordinate ids. As root: ${command}`;
}

function mapsAllIds(uidMap: string): boolean {
  return uidMap.split('\n').some((line) => {
    const [inside = '', , count = ''] = line.trim().split(/\s+/);
    return Number(inside) <= 1 && Number(count) >= neededIds;
  });
}

/** Size of the first range of the user, the one that `unshare --map-auto` takes. */
function firstRange(text: string, { userName, uid }: PrivilegeFacts): number {
  const owners = [userName, String(uid)];
  const line = text.split('\n').find((entry) => owners.includes(entry.split(':')[0] ?? ''));
  return Number(line?.split(':')[2] ?? 0);
}

async function gatherFacts(): Promise<PrivilegeFacts> {
  const status = await readFile('/proc/self/status', 'utf8');
  const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0';
  const mappers = await Promise.all(['newuidmap', 'newgidmap'].map((name) => findOnPath(name)));
  const uid = process.getuid?.() ?? -1;
  return {
    uid,
    userName: userNameOf(uid),
    capabilities: BigInt(`0x${capabilities}`),
    uidMap: (await readTextIfExists('/proc/self/uid_map')) ?? '',
    subuid: (await readTextIfExists('/etc/subuid')) ?? '',
    subgid: (await readTextIfExists('/etc/subgid')) ?? '',
    hasMappers: mappers.every((path) => path !== undefined),
  };
}

function userNameOf(uid: number): string {
  try {
    return userInfo().username;
  } catch {
    // A uid without an entry in passwd, as containers have it; the subid files may name it by number.
    return String(uid);
  }
}

async function canEnter(mode: PrivilegeMode): Promise<boolean> {
  const result = await runProgram({
    argv: [...namespaceArgv(mode), 'true'],
    env: { PATH: searchPath(), LANG: 'C.UTF-8' },
    events: silentEvents,
  });
  return result.exitCode === 0;
}

/** The settings of the kernel that are known to forbid user namespaces, and how to change them. */
const obstacles = [
  {
    file: '/proc/sys/kernel/apparmor_restrict_unprivileged_userns',
    value: '1',
    fix: 'AppArmor forbids user namespaces. As root: sysctl kernel.apparmor_restrict_unprivileged_userns=0',
  },
  {
    file: '/proc/sys/kernel/unprivileged_userns_clone',
    value: '0',
    fix: 'As root: sysctl kernel.unprivileged_userns_clone=1',
  },
  {
    file: '/proc/sys/user/max_user_namespaces',
    value: '0',
    fix: 'As root: sysctl user.max_user_namespaces=15000',
  },
] as const;

async function namespaceObstacle(): Promise<string> {
  for (const { file, value, fix } of obstacles) {
    if ((await readTextIfExists(file))?.trim() === value) return fix;
  }
  if ((await exists('/.dockerenv')) || (await exists('/run/.containerenv'))) {
    return 'The container forbids it: start it with --privileged, or with --cap-add SYS_ADMIN and --security-opt seccomp=unconfined.';
  }
  return 'Run mkimg as root, or allow user namespaces on this machine.';
}

function noNamespace(mode: PrivilegeMode, hint: string): MkimgError {
  const what = mode === 'root' ? 'a mount namespace' : 'a user namespace';
  return new MkimgError('no-user-namespace', `Cannot make ${what}, in which mkimg builds images.`, { hint });
}

/**
 * Command that gives the program after it the view and the powers of a mode. Propagation `slave`: what the host unmounts
 * is not kept busy by a long build, and no mount of the build reaches the host.
 */
export function namespaceArgv(mode: PrivilegeMode): readonly [string, ...string[]] {
  const mount = ['--mount', '--propagation', 'slave', '--'];
  if (mode === 'root') return ['unshare', ...mount];
  return ['unshare', '--user', ...(mode === 'subids' ? ['--map-auto'] : []), '--map-root-user', ...mount];
}

/** The mode of this process when it is the inner one; undefined when it has not entered its namespace yet. */
export function currentMode(environment: NodeJS.ProcessEnv = process.env): PrivilegeMode | undefined {
  return modes.find((mode) => mode === environment[marker]);
}

/** User id on the machine; inside a user namespace this process itself has another one. */
export function callerUid(environment: NodeJS.ProcessEnv = process.env): number {
  const marked = currentMode(environment) === undefined ? undefined : environment[callerMark];
  return marked === undefined ? (process.getuid?.() ?? 0) : Number(marked);
}

export interface Reexecution {
  readonly mode: PrivilegeMode;
  /** The script to run again: mkimg's own entry point. */
  readonly main: string;
  readonly args: readonly string[];
  /** Variables for the inner process, besides those of this one. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Asking for the signal comes too late where the outer process ended before; then this one's parent is another. */
const endWithParent = '[ "$PPID" = "$1" ] || exit 1; shift';

/**
 * Every sandbox gets the machine's own device nodes. As the machine's root a program could change their modes and owners
 * for everybody (`cp -p FILE /dev/null` does), so they are mounted read-only first; that keeps nobody from writing to them.
 */
const guardDevices =
  'for d in full null random tty urandom zero; do mount --bind --options ro "/dev/$d" "/dev/$d" 2>/dev/null; done';

/** PATH, as far as there is one: hooks of package managers may be run with none. */
function searchPath(): string {
  const own = process.env['PATH'] ?? '';
  return own === '' ? systemDirectories.join(':') : own;
}

/**
 * Runs mkimg again inside its namespace, on the same terminal, and resolves with its exit code (128 + n when signal n
 * ended it). When this process dies, the inner one gets SIGTERM; see limitOrphan().
 */
export async function enterNamespace({ mode, main, args, env }: Reexecution): Promise<number> {
  const script = [endWithParent, ...(mode === 'root' ? [guardDevices] : []), 'exec "$@"'];
  return runAttached({
    argv: [
      ...namespaceArgv(mode),
      ...['setpriv', '--pdeathsig', 'TERM', '--'],
      ...['sh', '-c', script.join('; '), 'sh', String(process.pid)],
      ...[process.execPath, ...process.execArgv, main, ...args],
    ],
    env: { ...process.env, ...env, PATH: searchPath(), [marker]: mode, [callerMark]: String(callerUid()) },
  });
}

const parent = process.ppid;
/** Milliseconds that the inner process has to clear up after the outer one died. */
const clearingUp = 30_000;

/**
 * For the inner process's signal handler, which ends the build in order, after a `kill -9` of the outer process too: only
 * a process that knows its tools ends all of them. (bwrap's --die-with-parent holds only from the moment that bwrap has
 * asked for it, a part of a second after its start.) An orphan that hangs then is killed, and its tools with it.
 */
export function limitOrphan(): void {
  if (currentMode() === undefined || process.ppid === parent) return;
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), clearingUp).unref();
}
