import { basename, dirname } from 'node:path';
import type { ElfIdentity } from '../distro/architectures/architecture.ts';
import type { ArchitectureName } from '../distro/architectures/index.ts';
import { architectures } from '../distro/architectures/index.ts';
import { systemDirectories } from './lookup.ts';
import type { Emulator } from './types.ts';

/**
 * The beginning of an ELF executable as the kernel compares it (Documentation/admin-guide/binfmt-misc.rst), and which bits
 * count: not the ABI, which GNU's tools set for some programs, and shared objects (3) as well as executables (2).
 */
export function elfMagic({ machine, bits, endian }: ElfIdentity): {
  readonly magic: Buffer;
  readonly mask: Buffer;
} {
  const isLittle = endian === 'little';
  const half = (value: number): number[] => {
    const bytes = [value & 0xff, value >> 8];
    return isLittle ? bytes : bytes.reverse();
  };
  const identity = [0x7f, 0x45, 0x4c, 0x46, bits === 64 ? 2 : 1, isLittle ? 1 : 2, 1];
  const padding = Array.from({ length: 9 }, () => 0);
  return {
    magic: Buffer.from([...identity, ...padding, ...half(2), ...half(machine)]),
    mask: Buffer.from([
      ...identity.map(() => 0xff),
      0,
      ...padding.slice(1).map(() => 0xff),
      ...half(0xfffe),
      0xff,
      0xff,
    ]),
  };
}

/**
 * The line that registers an interpreter, named relative to the working directory. P: programs see the name that they are
 * called by; O and C: they may be readable for nobody, and set-user-id counts; F: the interpreter is opened now, so that it
 * need not be in the trees where it is used.
 */
export function binfmtRegistration(architecture: ArchitectureName, program: string): string {
  const { magic, mask } = elfMagic(architectures[architecture].elf);
  const escaped = (bytes: Buffer): string =>
    Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
  return `:mkimg-${architecture}:M::${escaped(magic)}:${escaped(mask)}:${program}:POCF`;
}

/**
 * Enters a user namespace with the ids of the one around it. Only whoever is root outside may say which ids are inside, so
 * that is done beside it; a program gets root's powers when it is started as root, so another one is started after that.
 */
const nestScript = `PATH=${systemDirectories.join(':')}; export PATH
same() { while read -r id _ count; do echo "$id $id $count"; done <"/proc/self/$1"; }
users=$(same uid_map) groups=$(same gid_map)
(
  until printf '%s\\n' "$users" >"/proc/$$/uid_map"; do
    kill -0 $$ || exit
    sleep 0.005
  done
  printf '%s\\n' "$groups" >"/proc/$$/gid_map"
) 2>/dev/null &
exec unshare --user -- sh -c 'until read -r _ <"/proc/self/gid_map"; do sleep 0.005; done
exec unshare --mount --propagation private -- sh -c "$0" sh "$@"' "$@"`;

/** Message of the script below when the kernel refuses, for failure.ts. */
export const emulatorFault = 'mkimg: the emulator could not be registered';

/** Registers the interpreter for this user namespace alone: Linux 6.7 and later keep a list for each. */
const registerScript = `list=/proc/sys/fs/binfmt_misc
mount -t binfmt_misc binfmt_misc "$list" && cd "$1" && printf '%s' "$2" >"$list/register" || {
  echo "${emulatorFault}" >&2
  exit 125
}
cd /
shift 2
exec "$@"`;

/**
 * Wraps a command line so that programs of the emulator's architecture run in it. The list of interpreters is one that only
 * this command sees; the machine's stays as it is.
 */
export function emulatedArgv(
  { program, architecture }: Emulator,
  argv: readonly string[],
): readonly [string, ...string[]] {
  const registration = binfmtRegistration(architecture, basename(program));
  return ['/bin/sh', '-c', nestScript, 'sh', registerScript, dirname(program), registration, ...argv];
}
