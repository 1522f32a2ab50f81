// Two trees of Debian trixie, made once by mkimg: the system in which all tools make initrds, and an emulator that boots them.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectDirectory, run } from '../../setup.mjs';
import { hostSources, installMkosi, mkimg, work } from '../common.mjs';

export const directory = join(work, 'initrd');
export const system = join(directory, 'system');
const emulator = join(directory, 'emulator');

/** A server with encrypted disks: what the initrds of all tools are made of, these tools, and node for mkimg. */
const systemPackages = [
  ...[
    'linux-image-amd64',
    'systemd',
    'systemd-sysv',
    'udev',
    'dbus',
    'kmod',
    'mount',
    'dmsetup',
    'e2fsprogs',
  ],
  ...[
    'dosfstools',
    'systemd-cryptsetup',
    'systemd-repart',
    'libcryptsetup12',
    'libfido2-1',
    'systemd-boot-efi',
  ],
  ...['libtss2-esys-3.0.2-0t64', 'libtss2-mu-4.0.1-0t64', 'libtss2-rc0t64', 'libtss2-tcti-device0t64'],
  ...[
    'apt',
    'gpgv',
    'debian-archive-keyring',
    'ca-certificates',
    'uidmap',
    'bubblewrap',
    'zstd',
    'xz-utils',
    'cpio',
  ],
  ...['initramfs-tools', 'dracut-core', 'busybox-static', 'systemd-ukify', 'python3', 'nodejs'],
];

/** Makes what is not there. */
export function makeTrees() {
  makeTree(system, systemPackages);
  makeTree(emulator, ['qemu-system-x86', 'seabios']);
  const archives = join(system, 'var/cache/apt/archives');
  if (readdirSync(archives).some((name) => name.endsWith('.deb'))) return;
  // What mkimg leaves to the system is what a system has: indexes, and the package files of what is installed.
  writeFileSync(
    join(system, 'etc/apt/apt.conf.d/99bench'),
    'Acquire::Check-Valid-Until "false";\nAPT::Sandbox::User "root";\n',
  );
  inSystem('apt-get --quiet --quiet update');
  inSystem(
    `cd /var/cache/apt/archives && apt-get --quiet --quiet download $(dpkg-query -W -f '\${Package}:\${Architecture}=\${Version} ')`,
  );
}

/** @param {string} target @param {readonly string[]} packages */
function makeTree(target, packages) {
  if (existsSync(target)) return;
  const project = `${target}.project`;
  const sources = join(project, 'mkosi.sandbox/etc/apt/sources.list.d');
  mkdirSync(sources, { recursive: true });
  writeFileSync(join(sources, 'mkosi.sources'), hostSources().replace(/^Suites:.*$/m, 'Suites: trixie'));
  const settings = [
    ...[
      '[Distribution]',
      'Distribution=debian',
      'Release=trixie',
      '[Output]',
      'Format=directory',
      'Output=tree',
    ],
    ...['[Content]', 'Bootable=no', 'CleanPackageMetadata=no', `Packages=${packages.join(' ')}`],
    ...['[Build]', 'ToolsTree=default', ''],
  ];
  writeFileSync(join(project, 'mkosi.conf'), settings.join('\n'));
  run('sh', ['-c', `${mkimg} -C ${project} --output-directory ${project} build`]);
  rmSync(target, { recursive: true, force: true });
  renameSync(join(project, 'tree'), target);
}

/** The only kernel of the system. */
export function kernelVersion() {
  const [version, ...others] = readdirSync(join(system, 'usr/lib/modules'));
  if (version === undefined || others.length > 0) throw new Error('the system shall have one kernel');
  return version;
}

/**
 * A command that runs a shell command in the system as its root would, on this machine's devices. mkimg is at /opt/mkimg, mkosi
 * at /opt/mkosi.
 * @param {string} command
 */
export function inSystemCommand(command) {
  installMkosi();
  for (const name of ['opt/mkimg', 'opt/mkosi', 'opt/bench', 'usr/lib/firmware'])
    mkdirSync(join(system, name), { recursive: true });
  const options = [
    ...['--bind', system, '/', '--dev', '/dev', '--proc', '/proc', '--ro-bind', '/sys', '/sys'],
    ...['--perms', '1777', '--tmpfs', '/tmp', '--perms', '0755', '--tmpfs', '/run'],
    ...['--ro-bind', projectDirectory, '/opt/mkimg', '--ro-bind', join(work, 'mkosi'), '/opt/mkosi'],
    ...['--ro-bind', '/etc/resolv.conf', '/etc/resolv.conf', '--unshare-pid', '--cap-add', 'ALL'],
    ...['--clearenv', '--setenv', 'HOME', '/root', '--setenv', 'LANG', 'C.UTF-8'],
    ...['--setenv', 'PATH', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', '--chdir', '/'],
  ];
  return ['bwrap', '--die-with-parent', ...options, 'sh', '-ec', command].map(quoted).join(' ');
}

/** @param {string} command */
export function inSystem(command) {
  run('sh', ['-c', inSystemCommand(command)]);
}

/** The emulator with these arguments; it sees the directory of this benchmark. @param {readonly string[]} argv */
export function emulatorCommand(argv) {
  const options = [
    ...['--ro-bind', join(emulator, 'usr'), '/usr', '--ro-bind', join(emulator, 'etc'), '/etc'],
    ...['--symlink', 'usr/lib', '/lib', '--symlink', 'usr/lib64', '/lib64', '--symlink', 'usr/bin', '/bin'],
    ...['--dev', '/dev', '--proc', '/proc', '--perms', '1777', '--tmpfs', '/tmp', '--dir', '/var/tmp'],
    ...['--ro-bind', directory, directory],
  ];
  return ['bwrap', '--die-with-parent', ...options, 'qemu-system-x86_64', ...argv];
}

/** @param {string} word */
function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
