import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import { bubblewrapArgv } from '../../../src/sandbox/bubblewrap.ts';
import type { SandboxSpec } from '../../../src/sandbox/types.ts';

const plain: SandboxSpec = {
  tools: { kind: 'host' },
  mounts: [],
  network: false,
  env: {},
  suppressChown: false,
};

const isolation = [
  ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--hostname', 'localhost', '--unshare-net'],
  ...['--cap-drop', 'CAP_SYS_BOOT', '--cap-drop', 'CAP_SYS_MODULE'],
  ...['--cap-drop', 'CAP_SYS_RAWIO', '--cap-drop', 'CAP_SYS_TIME'],
  ...['--die-with-parent'],
];
const environment = [
  ...['--clearenv', '--setenv', 'HOME', '/root', '--setenv', 'LANG', 'C.UTF-8', '--setenv', 'PATH'],
  ...['/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', '--setenv', 'TMPDIR', '/tmp'],
];

/** Position of a run of arguments. */
function position(argv: readonly string[], ...run: readonly string[]): number {
  return argv.findIndex((_, index) => run.every((word, offset) => argv[index + offset] === word));
}

describe('bubblewrapArgv', () => {
  it('runs inside a tree', () => {
    expect(bubblewrapArgv({ ...plain, root: hostPath('/t') }, { seccomp: 4 })).toEqual([
      'bwrap',
      ...['--dev-bind', '/t', '/', '--dev', '/dev', '--proc', '/proc', '--ro-bind-try', '/sys', '/sys'],
      ...['--perms', '0755', '--tmpfs', '/run', '--perms', '1777', '--tmpfs', '/tmp'],
      ...['--perms', '1777', '--tmpfs', '/var/tmp'],
      ...isolation,
      ...['--seccomp', '4', '--chdir', '/'],
      ...environment,
      '--',
    ]);
  });

  it('takes tools and their part of /etc from a tree', () => {
    const argv = bubblewrapArgv({ ...plain, tools: { kind: 'tree', path: hostPath('/tools') } }, {});
    expect(argv.slice(0, 4)).toEqual(['bwrap', '--ro-bind', '/tools/usr', '/usr']);
    expect(position(argv, '--ro-bind-try', '/tools/etc/ssl', '/etc/ssl')).toBeGreaterThan(0);
    expect(position(argv, '--symlink', 'usr/lib64', '/lib64')).toBeGreaterThan(0);
    expect(argv).not.toContain('--seccomp');
    expect(position(argv, '--ro-bind-try', '/etc/passwd')).toBe(-1);
  });

  it('shows the names of the network only with network', () => {
    const on = bubblewrapArgv({ ...plain, network: true }, {});
    expect(on).not.toContain('--unshare-net');
    expect(position(on, '--ro-bind-try', '/etc/resolv.conf', '/etc/resolv.conf')).toBeGreaterThan(0);
    expect(bubblewrapArgv(plain, {})).not.toContain('/etc/resolv.conf');
  });

  it('puts what is deeper on top', () => {
    const argv = bubblewrapArgv(
      {
        ...plain,
        mounts: [
          { source: hostPath('/b'), target: '/work/src/sub', mode: 'rw' },
          { source: hostPath('/a'), target: '/work/src', mode: 'ro' },
          { source: hostPath('/c'), target: '/buildroot', mode: 'dev' },
        ],
        tmpfs: ['/buildroot/run'],
        symlinks: [{ target: '/work/src', path: '/source' }],
      },
      {},
    );
    const order = [
      position(argv, '--dev-bind', '/c', '/buildroot'),
      position(argv, '--symlink', '/work/src', '/source'),
      position(argv, '--perms', '0755', '--tmpfs', '/buildroot/run'),
      position(argv, '--ro-bind', '/a', '/work/src'),
      position(argv, '--bind', '/b', '/work/src/sub'),
    ];
    expect(order.every((at) => at > 0)).toBe(true);
    expect([...order].sort((left, right) => left - right)).toEqual(order);
  });

  it('lets a mount stand in place of a scratch directory', () => {
    const argv = bubblewrapArgv(
      { ...plain, mounts: [{ source: hostPath('/big'), target: '/var/tmp', mode: 'rw' }] },
      {},
    );
    expect(position(argv, '--tmpfs', '/var/tmp')).toBe(-1);
    expect(position(argv, '--bind', '/big', '/var/tmp')).toBeGreaterThan(0);
  });

  it('takes the environment of the spec before the defaults', () => {
    const argv = bubblewrapArgv({ ...plain, env: { HOME: '/', A: 'b c' }, workingDirectory: '/work' }, {});
    expect(position(argv, '--setenv', 'HOME', '/')).toBeGreaterThan(0);
    expect(position(argv, '--setenv', 'A', 'b c')).toBeGreaterThan(0);
    expect(position(argv, '--chdir', '/work')).toBeGreaterThan(0);
  });
});
