// From the kernel's start to the new root, in one emulated machine for the initrds of all tools. The root is a small ext4 disk
// whose init says how long the kernel has been running, and ends the machine.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../setup.mjs';
import { directory, emulatorCommand, kernelVersion, system } from './trees.mjs';

const uuid = '4b1c8a5e-6a53-4c3e-9d6e-0c5d3f1a7e21';
const disk = join(directory, 'root.ext4');
const kernel = join(directory, 'vmlinuz');

const init = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc 2>/dev/null
read -r seconds rest </proc/uptime
echo "switched root after $seconds seconds" >/dev/console
/bin/busybox poweroff -f
`;

export function makeRoot() {
  copyFileSync(join(system, 'usr/lib/modules', kernelVersion(), 'vmlinuz'), kernel);
  if (existsSync(disk)) return;
  const root = `${disk}.tree`;
  rmSync(root, { recursive: true, force: true });
  for (const name of ['bin', 'dev', 'etc', 'proc', 'run', 'sbin', 'sys', 'tmp', 'usr/lib', 'var'])
    mkdirSync(join(root, name), { recursive: true });
  copyFileSync(join(system, 'usr/bin/busybox'), join(root, 'bin/busybox'));
  symlinkSync('busybox', join(root, 'bin/sh'));
  writeFileSync(join(root, 'sbin/init'), init);
  chmodSync(join(root, 'sbin/init'), 0o755);
  writeFileSync(join(root, 'usr/lib/os-release'), 'ID=bench\nPRETTY_NAME=Bench\n');
  symlinkSync('../usr/lib/os-release', join(root, 'etc/os-release'));
  run('mke2fs', ['-q', '-t', 'ext4', '-U', uuid, '-d', root, disk, '64M']);
}

/** The clock goes by instructions, 500 million of them for a second; it does not count how long this machine takes for them. */
const counting = ['-icount', 'shift=1,sleep=off'];

/** Seconds by the guest's own clock until the new root has the machine. @param {string} initrd @param {boolean} counted */
export function bootSeconds(initrd, counted) {
  const argv = [
    ...(counted ? counting : []),
    ...['-machine', 'q35', '-accel', 'tcg', '-cpu', 'qemu64', '-smp', '1', '-m', '1024', '-nodefaults'],
    ...['-no-user-config', '-display', 'none', '-serial', 'stdio', '-no-reboot', '-device', 'virtio-rng-pci'],
    ...['-drive', `file=${disk},format=raw,if=none,id=d0,snapshot=on`, '-device', 'virtio-blk-pci,drive=d0'],
    ...['-kernel', kernel, '-initrd', initrd],
    ...['-append', `root=UUID=${uuid} rw console=ttyS0 quiet panic=-1`],
  ];
  const [command = '', ...rest] = emulatorCommand(argv);
  const { stdout } = spawnSync(command, rest, {
    encoding: 'utf8',
    timeout: 300_000,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const seconds = Number(/switched root after ([0-9.]+) seconds/.exec(stdout)?.[1]);
  if (Number.isNaN(seconds)) throw new Error(`${initrd} did not come to its root:\n${stdout.slice(-2000)}`);
  return seconds;
}
