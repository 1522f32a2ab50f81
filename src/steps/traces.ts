/** What clean-traces does with the paths that a pattern matches. */
export type TraceAction =
  /** Removes the path with everything below it. */
  | 'remove'
  /** Removes everything inside the directory and keeps the directory. */
  | 'empty'
  /** Removes all files below the directory; directories stay, for packages own them and expect them. */
  | 'remove-files'
  /** Cuts the file to zero bytes: its owner and mode matter to the programs that append to it. */
  | 'truncate'
  /** Removes the file if it is regular and holds nothing: a mount point that a sandbox made. */
  | 'remove-if-empty';

/** One kind of thing that building leaves in a tree and that must not be in an image. */
export interface Trace {
  /** Patterns of Tree.glob(). */
  readonly paths: readonly string[];
  readonly action: TraceAction;
  /** Paths that stay although `paths` covers them. */
  readonly except?: readonly string[];
  readonly reason: string;
}

/**
 * Everything that clean-traces removes, in the order in which it does so. Kept on purpose: etc/ld.so.cache and the
 * journal's catalog (same packages, same bytes, and needed at once), debconf's database (answers and templates that
 * upgrades read), dpkg's database, var/lib/apt/extended_states (which packages were asked for), etc/machine-info (only
 * users put it there).
 */
export const traces: readonly Trace[] = [
  { paths: ['dev'], action: 'empty', reason: 'the kernel mounts devtmpfs here' },
  { paths: ['proc'], action: 'empty', reason: 'mount point of the running system' },
  { paths: ['sys'], action: 'empty', reason: 'mount point of the running system' },
  { paths: ['run'], action: 'empty', reason: 'a tmpfs in the running system' },
  { paths: ['tmp'], action: 'empty', reason: 'temporary files of the build' },
  { paths: ['var/tmp'], action: 'empty', reason: 'temporary files of the build' },
  {
    paths: ['var/cache'],
    action: 'remove-files',
    except: [
      'var/cache/debconf/config.dat',
      'var/cache/debconf/templates.dat',
      'var/cache/debconf/passwords.dat',
    ],
    reason: 'can be made anew at any time (downloads, package indexes, ldconfig aux-cache)',
  },
  { paths: ['var/lib/apt/lists'], action: 'remove-files', reason: 'state of the mirror at build time' },
  { paths: ['var/lib/dpkg/*-old'], action: 'remove', reason: 'backup of the state before the last package' },
  {
    paths: ['etc/.pwd.lock', 'var/lib/dpkg/lock*', 'var/lib/dpkg/triggers/Lock'],
    action: 'remove',
    reason: 'lock file',
  },
  {
    paths: ['etc/passwd-', 'etc/group-', 'etc/shadow-', 'etc/gshadow-', 'etc/subuid-', 'etc/subgid-'],
    action: 'remove',
    reason: 'backup of the state before the last change of an account',
  },
  {
    paths: ['etc/.resolv.conf.systemd-resolved.bak'],
    action: 'remove',
    reason: "name servers of the build machine, saved by systemd-resolved's package",
  },
  { paths: ['etc/resolv.conf'], action: 'remove-if-empty', reason: 'mount point for the build network' },
  { paths: ['var/log/**/*.log', 'var/log/apt/*'], action: 'remove', reason: 'log of the build' },
  { paths: ['var/log/journal/*'], action: 'remove', reason: 'journal of another machine' },
  { paths: ['var/log/**'], action: 'truncate', reason: 'log of the build; programs do not create these' },
  {
    paths: ['var/lib/systemd/random-seed', 'var/lib/urandom/random-seed'],
    action: 'remove',
    reason: 'a seed must not be shared',
  },
  {
    paths: ['boot/loader/random-seed', 'efi/loader/random-seed', 'boot/efi/loader/random-seed'],
    action: 'remove',
    reason: 'a seed must not be shared; systemd-boot makes one at first boot',
  },
  {
    paths: ['var/lib/systemd/credential.secret'],
    action: 'remove',
    reason: 'a key must not be shared; systemd-creds makes one at first use',
  },
  {
    paths: ['etc/ssh/ssh_host_*_key', 'etc/ssh/ssh_host_*_key.pub'],
    action: 'remove',
    reason:
      'a host key must not be shared; sshd-keygen.service (Debian 13) or the image makes new ones at boot',
  },
];
