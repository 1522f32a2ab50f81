import type { Mount, SandboxSpec, ToolsRoot } from './types.ts';

/** Descriptors that bwrap inherits. */
export interface BubblewrapDescriptors {
  /** Readable: a filter of seccomp.ts. */
  readonly seccomp?: number;
}

/** Where tools are looked for inside the sandbox, in this order. */
export const sandboxPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Always empty and writable, unless a mount stands in their place. */
export const scratchDirectories = ['/run', '/tmp', '/var/tmp'] as const;
const home = '/root';

const mergedUsrLinks = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'] as const;

/**
 * What tools need of /etc: the dynamic loader, names of users, trust anchors, links of update-alternatives. All other
 * configuration of the machine is left out on purpose: it would change results behind the plan's back.
 */
const toolsEtc = [
  'alternatives',
  'ca-certificates',
  'ca-certificates.conf',
  'crypto-policies',
  'group',
  'ld.so.cache',
  'ld.so.conf',
  'ld.so.conf.d',
  'nsswitch.conf',
  'passwd',
  'pki',
  'ssl',
] as const;
/** Always the machine's own, whatever the tools: they belong to its network. */
const networkEtc = ['hosts', 'resolv.conf'] as const;

/**
 * Capabilities that no tool of a build needs, but with which a maintainer script could change the running machine when
 * mkimg runs as root.
 */
const droppedCapabilities = ['CAP_SYS_BOOT', 'CAP_SYS_MODULE', 'CAP_SYS_RAWIO', 'CAP_SYS_TIME'] as const;

/**
 * The command line of bwrap up to and including `--`; the program's argv follows. Pure: decided by the spec alone.
 * Mounts, tmpfs and symlinks are ordered by depth, so that one below another's target ends up on top of it.
 *
 * With `root`, targets must exist there already and must not lead through symlinks; see prepareRoot().
 */
export function bubblewrapArgv(spec: SandboxSpec, fds: BubblewrapDescriptors): string[] {
  return [
    ['bwrap'],
    spec.root === undefined ? toolsArgv(spec) : rootArgv(spec.root),
    placedArgv(spec),
    ['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--hostname', 'localhost'],
    spec.network ? [] : ['--unshare-net'],
    droppedCapabilities.flatMap((capability) => ['--cap-drop', capability]),
    // No --new-session: the starters make a session for each sandbox, and its processes must stay in the group that is killed.
    ['--die-with-parent'],
    fds.seccomp === undefined ? [] : ['--seccomp', String(fds.seccomp)],
    ['--chdir', spec.workingDirectory ?? '/'],
    environmentArgv(spec),
    ['--'],
  ].flat();
}

function toolsArgv(spec: SandboxSpec): string[] {
  const source = toolsPrefix(spec.tools);
  return [
    ['--ro-bind', `${source}/usr`, '/usr'],
    ['--ro-bind-try', `${source}/opt`, '/opt'],
    mergedUsrLinks.flatMap((name) => ['--symlink', `usr/${name}`, `/${name}`]),
    ['--dir', '/etc'],
    toolsEtc.flatMap((name) => ['--ro-bind-try', `${source}/etc/${name}`, `/etc/${name}`]),
    spec.network ? networkEtc.flatMap((name) => ['--ro-bind-try', `/etc/${name}`, `/etc/${name}`]) : [],
    ['--dir', '/var'],
    ['--dev', '/dev'],
    ['--proc', '/proc'],
    ['--ro-bind-try', '/sys', '/sys'],
  ].flat();
}

function toolsPrefix(tools: ToolsRoot): string {
  return tools.kind === 'host' ? '' : tools.path;
}

function rootArgv(root: string): string[] {
  return [
    // --bind would mount nodev, and maintainer scripts write to device nodes of the tree.
    ['--dev-bind', root, '/'],
    ['--dev', '/dev'],
    ['--proc', '/proc'],
    ['--ro-bind-try', '/sys', '/sys'],
  ].flat();
}

interface Placed {
  readonly target: string;
  readonly argv: readonly string[];
}

function placedArgv(spec: SandboxSpec): string[] {
  const taken = new Set(spec.mounts.map((mount) => mount.target));
  // A tree has its own /root, which may belong to a package.
  const scratch = spec.root === undefined ? [...scratchDirectories, home] : scratchDirectories;
  const tmpfs = new Set([...scratch.filter((path) => !taken.has(path)), ...(spec.tmpfs ?? [])]);
  const placed: Placed[] = [
    ...Array.from(tmpfs, (target) => ({ target, argv: tmpfsArgv(target) })),
    ...spec.mounts.map((mount) => ({ target: mount.target, argv: mountArgv(mount) })),
    ...(spec.symlinks ?? []).map(({ target, path }) => ({ target: path, argv: ['--symlink', target, path] })),
  ];
  // The sort is stable: of two things at one place, the later one in the spec wins.
  return placed.sort((left, right) => depth(left.target) - depth(right.target)).flatMap(({ argv }) => argv);
}

function tmpfsArgv(target: string): string[] {
  const isShared = target === '/tmp' || target === '/var/tmp';
  return ['--perms', isShared ? '1777' : '0755', '--tmpfs', target];
}

function mountArgv(mount: Mount): string[] {
  const options = { ro: '--ro-bind', rw: '--bind', dev: '--dev-bind' } as const;
  return [options[mount.mode], mount.source, mount.target];
}

function depth(path: string): number {
  return path.split('/').filter((part) => part !== '').length;
}

function environmentArgv(spec: SandboxSpec): string[] {
  const environment = { HOME: home, LANG: 'C.UTF-8', PATH: sandboxPath, TMPDIR: '/tmp', ...spec.env };
  return ['--clearenv', ...Object.entries(environment).flatMap(([name, value]) => ['--setenv', name, value])];
}
