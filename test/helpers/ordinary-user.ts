import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../src/base/brand.ts';

/** Neither in /etc/passwd nor in use on a common machine. */
const uid = 54321;
export const ordinaryUserName = 'mkimg-test';

export const isRoot = process.getuid?.() === 0;

export interface OrdinaryUserOptions {
  /** Directory of the test, readable by others; `home` is made in it. */
  readonly scratch: HostPath;
  readonly hasSubordinateIds: boolean;
  /** Directories that the user must reach, wherever they are: bound to a place in `scratch` (name: source). */
  readonly binds: Readonly<Record<string, string>>;
}

/**
 * Words to put before a command so that root runs it as an ordinary user who exists only for it: passwd and the files of
 * subordinate ids are laid over /etc in a mount namespace of the command's own. Nothing on the machine is changed.
 */
export async function ordinaryUserPrefix(options: OrdinaryUserOptions): Promise<readonly string[]> {
  const { scratch } = options;
  const home = join(scratch, 'home');
  await mkdir(home, { recursive: true });
  await chown(home, uid, uid);
  await chmod(scratch, 0o755);
  const ranges = options.hasSubordinateIds ? `${ordinaryUserName}:200000000:65536` : '';
  const script = join(scratch, options.hasSubordinateIds ? 'as-user-with-ids' : 'as-user-without-ids');
  await writeFile(
    script,
    [
      'set -eu',
      `cd ${scratch}`,
      'mkdir -p layer',
      'mount -t tmpfs tmpfs layer',
      'mkdir layer/upper layer/work',
      `(cat /etc/passwd; echo ${ordinaryUserName}:x:${uid}:${uid}::${home}:/bin/sh) > layer/upper/passwd`,
      `(cat /etc/group; echo ${ordinaryUserName}:x:${uid}:) > layer/upper/group`,
      `echo '${ranges}' | tee layer/upper/subuid > layer/upper/subgid`,
      'mount -t overlay -o lowerdir=/etc,upperdir=layer/upper,workdir=layer/work overlay /etc',
      ...Object.entries(options.binds).flatMap(([name, source]) => [
        `mkdir -p ${name}`,
        `mount --bind ${source} ${name}`,
      ]),
      `exec setpriv --reuid ${uid} --regid ${uid} --clear-groups --inh-caps=-all --bounding-set=-sys_boot -- \\`,
      `  env -i HOME=${home} USER=${ordinaryUserName} PATH="$PATH" LANG=C.UTF-8 "$@"`,
      '',
    ].join('\n'),
  );
  return ['unshare', '--mount', 'sh', script];
}
