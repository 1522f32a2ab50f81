import { MkimgError } from '../../base/errors.ts';
import { mkdir } from 'node:fs/promises';
import { exists } from '../../base/files.ts';
import { temporaryDirectory } from '../../base/temporary.ts';
import { decidePrivileges, namespaceArgv } from '../../sandbox/namespace.ts';
import { overlayOptions } from '../../sandbox/overlay.ts';
import type { Check, Finding, Surroundings } from './check.ts';
import { broken, good, lacking } from './check.ts';
import { outputOf } from './output-of.ts';

const modeWords = {
  root: 'mkimg runs as root of the machine',
  subids: 'user namespaces with subordinate ids',
  'single-id': 'user namespaces with one id',
} as const;

/** Namespaces, subordinate ids, and overlays in them. */
export const privilegesCheck: Check = {
  name: 'namespaces',
  run: async (surroundings) => {
    if (!(await exists('/proc/self/status'))) {
      return [
        broken('namespaces', '/proc is not mounted, or hides this process', 'mount -t proc proc /proc'),
      ];
    }
    const found = await decided();
    if (!found.ok) return [found.finding];
    const { mode, reason = '' } = found.privileges;
    const ids: Finding =
      mode === 'single-id'
        ? lacking('subordinate-ids', 'none: all files of images will belong to root', reason)
        : good('subordinate-ids', mode === 'root' ? 'root needs none' : 'a whole range of them');
    return [good('namespaces', modeWords[mode]), ids, await overlay(mode, surroundings)];
  },
};

type Decided =
  | { readonly ok: true; readonly privileges: Awaited<ReturnType<typeof decidePrivileges>> }
  | { readonly ok: false; readonly finding: Finding };

async function decided(): Promise<Decided> {
  try {
    return { ok: true, privileges: await decidePrivileges() };
  } catch (error) {
    if (!(error instanceof MkimgError)) throw error;
    return { ok: false, finding: broken('namespaces', error.message, error.hint) };
  }
}

/** Tries the mount that every build makes, in a directory of the cache: overlays on overlays, as in containers, are refused. */
async function overlay(
  mode: Parameters<typeof namespaceArgv>[0],
  { cache, signal }: Surroundings,
): Promise<Finding> {
  await mkdir(cache.root, { recursive: true });
  await using place = await temporaryDirectory(cache.root, '.doctor-');
  // What an overlay leaves in its work directory only the namespace's root can remove.
  const script =
    'cd "$1" && mkdir 0 u w target && mount -t overlay -o "$2" overlay target; s=$?; umount target; rm -rf w; exit $s';
  const argv = [...namespaceArgv(mode), 'sh', '-c', script, 'sh', place.path, overlayOptions(1, true)];
  const answer = await outputOf(argv as [string, ...string[]], signal);
  if (answer?.exitCode === 0) return good('overlay', `overlays can be mounted in ${cache.root}`);
  const reason = answer?.text.trim().split('\n').at(-1) ?? 'mount cannot be started';
  return broken(
    'overlay',
    `no overlay can be mounted in ${cache.root}: ${reason}`,
    'Set CacheDirectory= or XDG_CACHE_HOME to a directory on ext4, xfs, btrfs or tmpfs; overlays need Linux 5.11 in user namespaces.',
  );
}
