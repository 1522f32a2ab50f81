import type { ToolNeed } from './implementation.ts';
import { sandboxPath } from '../sandbox/bubblewrap.ts';

/** Where the helper programs stand inside a script's sandbox. */
export const helpersDirectory = '/run/mkimg/bin';

/** PATH of scripts that run outside the image: the helper programs hide the tools of the same name. */
export const scriptPath = `${helpersDirectory}:${sandboxPath}`;

/** What the helper programs need. */
export const scriptTools: readonly ToolNeed[] = [
  { tool: 'sh', reason: 'to run scripts' },
  { tool: 'mount', reason: 'to run commands of scripts inside the image' },
  { tool: 'unshare', minimum: '2.34', reason: 'to run commands of scripts inside the image' },
];

/** What `chroot` looks like to a script: mkosi sets the same, and scripts test for it to tell where they run. */
export const chrootEnvironment = { container: 'mkosi' } as const;

export interface HelperOptions {
  /** The network may be used, so the image must see the machine's resolv.conf. */
  readonly network: boolean;
  /**
   * Path of the image's etc/resolv.conf below its root, with links followed inside the image; it may not exist.
   */
  readonly resolvConf: string;
}

/** Programs for scripts that run outside the image, by name: mkosi's helpers, and the same under mkimg's name. */
export function helperPrograms(options: HelperOptions): Readonly<Record<string, string>> {
  const chroot = chrootProgram(options);
  return {
    'mkimg-chroot': chroot,
    'mkosi-chroot': chroot,
    useradd: rootedProgram('useradd'),
    groupadd: rootedProgram('groupadd'),
  };
}

/**
 * Runs a command inside the image, in a mount namespace of its own, so that nothing stays mounted. It shares /work, /tmp
 * and /var/tmp with the script. `unshare --root` is used instead of chroot(1) because it can also set the directory.
 */
function chrootProgram({ network, resolvConf }: HelperOptions): string {
  return [
    '#!/bin/sh',
    'set -eu',
    'if [ -z "${MKIMG_CHROOT_STAGE-}" ]; then',
    '    [ "$#" -gt 0 ] || set -- /bin/sh',
    '    MKIMG_CHROOT_STAGE=mounts exec unshare --mount --propagation private -- /bin/sh "$0" "$@"',
    'fi',
    'unset MKIMG_CHROOT_STAGE',
    'root=/buildroot',
    'for directory in dev proc sys run tmp var/tmp work; do',
    '    [ -d "$root/$directory" ] || mkdir -p "$root/$directory"',
    'done',
    'for directory in dev proc sys tmp var/tmp work; do',
    '    mount --rbind "/$directory" "$root/$directory"',
    'done',
    'mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs "$root/run"',
    ...(network ? resolvConfLines(resolvConf) : []),
    ...Object.entries(chrootEnvironment).map(([name, value]) => `export ${name}=${value}`),
    `export HOME=/root PATH=${sandboxPath}`,
    'exec unshare --root="$root" --wd=/work/src -- "$@"',
    '',
  ].join('\n');
}

function resolvConfLines(resolvConf: string): string[] {
  return [
    `resolv="$root"/${quoted(resolvConf)}`,
    'if [ -e /etc/resolv.conf ]; then',
    '    mkdir -p "${resolv%/*}"',
    '    [ -e "$resolv" ] || : >"$resolv"',
    '    mount --bind /etc/resolv.conf "$resolv"',
    'fi',
  ];
}

/** The tool of that name, acting on the accounts of the image instead of those of the tools. */
function rootedProgram(name: string): string {
  return ['#!/bin/sh', `exec /usr/sbin/${name} --root=/buildroot "$@"`, ''].join('\n');
}

/** One word for any POSIX shell, whatever bytes it holds. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
