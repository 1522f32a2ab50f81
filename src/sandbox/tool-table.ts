/** A program that mkimg uses. */
export interface ToolRow {
  /** Package of Debian stable that has it. */
  readonly debianPackage: string;
  /** Arguments with which it tells its version; undefined for programs that cannot. */
  readonly versionArgv: readonly string[] | undefined;
  /** The first group that matched is the version. */
  readonly versionPattern: RegExp;
}

const dotted = /(\d+(?:\.\d+)+)/;
/** `systemd 257 (257.13-1~deb13u1)`: the number in parentheses says more, where the distribution gives one. */
const systemdVersion = /^\S+ \d+ \((\d+(?:\.\d+)*)|^\S+ (\d+)/;
const kmodVersion = /version (\d+(?:\.\d+)*)/;

type Row = readonly [name: string, row: ToolRow];

function rows(
  debianPackage: string,
  names: readonly string[],
  options: Partial<ToolRow> = {},
): readonly Row[] {
  return names.map((name) => [
    name,
    { debianPackage, versionArgv: ['--version'], versionPattern: dotted, ...options },
  ]);
}

function systemdRows(debianPackage: string, names: readonly string[]): readonly Row[] {
  return rows(debianPackage, names, { versionPattern: systemdVersion });
}

/** Every program that mkimg starts, by name. */
export const toolTable: ReadonlyMap<string, ToolRow> = new Map([
  ...rows('apt', ['apt-cache', 'apt-config', 'apt-get', 'apt-mark']),
  ...rows('apt-utils', ['apt-ftparchive']),
  ...rows('bash', ['bash']),
  ...rows('binutils', ['objcopy', 'objdump']),
  ...rows('btrfs-progs', ['btrfs', 'mkfs.btrfs']),
  ...rows('bubblewrap', ['bwrap']),
  ...rows('bzip2', ['bzip2'], { versionArgv: ['--help'] }),
  ...rows('coreutils', [
    ...[
      'chmod',
      'chown',
      'cp',
      'dd',
      'du',
      'env',
      'head',
      'install',
      'ln',
      'ls',
      'mkdir',
      'mv',
      'rm',
      'sha256sum',
    ],
    ...['sort', 'stat', 'sync', 'tail', 'touch', 'true', 'truncate'],
  ]),
  ...rows('cpio', ['cpio']),
  ...rows('cryptsetup-bin', ['cryptsetup', 'veritysetup']),
  ...rows('dash', ['sh'], { versionArgv: undefined }),
  ...rows('dosfstools', ['mkfs.fat', 'mkfs.vfat'], { versionArgv: [] }),
  ...rows('dpkg', ['dpkg', 'dpkg-deb', 'dpkg-divert', 'dpkg-query']),
  ...rows('e2fsprogs', ['debugfs', 'e2fsck', 'mke2fs', 'mkfs.ext4', 'resize2fs', 'tune2fs'], {
    versionArgv: ['-V'],
  }),
  ...rows('erofs-utils', ['mkfs.erofs'], { versionArgv: ['-V'] }),
  ...rows('fdisk', ['fdisk', 'sfdisk']),
  ...rows('findutils', ['find', 'xargs']),
  ...rows('git', ['git']),
  ...rows('gpg', ['gpg']),
  ...rows('gpgv', ['gpgv']),
  ...rows('grep', ['grep']),
  ...rows('grub-common', ['grub-mkimage']),
  ...rows('gzip', ['gzip']),
  ...rows('iproute2', ['ip'], { versionArgv: ['-V'] }),
  ...rows('kmod', ['depmod', 'kmod', 'modinfo'], { versionPattern: kmodVersion }),
  ...rows('libarchive-tools', ['bsdtar']),
  ...rows('libc-bin', ['getent', 'ldconfig', 'localedef']),
  ...rows('mount', ['mount', 'umount']),
  ...rows('lz4', ['lz4']),
  ...rows('lzop', ['lzop']),
  ...rows('mtools', ['mcopy', 'mdir', 'mformat', 'mmd']),
  ...rows('openssh-client', ['ssh'], { versionArgv: ['-V'] }),
  ...rows('openssh-client', ['ssh-keygen'], { versionArgv: undefined }),
  ...rows('openssl', ['openssl'], { versionArgv: ['version'] }),
  ...rows('passwd', ['chpasswd', 'groupadd', 'useradd', 'usermod'], { versionArgv: undefined }),
  ...rows('pigz', ['pigz']),
  ...rows('qemu-system-arm', ['qemu-system-aarch64', 'qemu-system-arm']),
  ...rows('qemu-system-misc', ['qemu-system-loongarch64']),
  ...rows('qemu-system-ppc', ['qemu-system-ppc64']),
  ...rows('qemu-system-riscv', ['qemu-system-riscv64']),
  ...rows('qemu-system-s390x', ['qemu-system-s390x']),
  ...rows('qemu-system-x86', ['qemu-system-i386', 'qemu-system-x86_64']),
  ...rows('qemu-utils', ['qemu-img']),
  ...rows('rsync', ['rsync']),
  ...rows('sbsigntool', ['sbsign', 'sbverify']),
  ...rows('sed', ['sed']),
  ...rows('socat', ['socat'], { versionArgv: ['-V'] }),
  ...rows('sqv', ['sqv']),
  ...rows('squashfs-tools', ['mksquashfs', 'unsquashfs'], { versionArgv: ['-version'] }),
  ...rows('swtpm', ['swtpm']),
  ...rows('swtpm-tools', ['swtpm_setup']),
  ...systemdRows('systemd', [
    ...[
      'systemctl',
      'systemd-analyze',
      'systemd-firstboot',
      'systemd-id128',
      'systemd-measure',
      'systemd-sysusers',
    ],
    'systemd-tmpfiles',
  ]),
  ...systemdRows('systemd-boot-tools', ['bootctl']),
  ...systemdRows('systemd-container', ['systemd-dissect', 'systemd-nspawn']),
  ...systemdRows('systemd-repart', ['systemd-repart']),
  ...systemdRows('systemd-ukify', ['ukify']),
  ...systemdRows('udev', ['systemd-hwdb']),
  ...rows('tar', ['tar']),
  ...rows('uidmap', ['newgidmap', 'newuidmap'], { versionArgv: undefined }),
  ...rows('util-linux', ['findmnt', 'mountpoint', 'setpriv', 'unshare']),
  ...rows('virtiofsd', ['virtiofsd']),
  ...rows('xfsprogs', ['mkfs.xfs'], { versionArgv: ['-V'] }),
  ...rows('xorriso', ['xorriso'], { versionArgv: ['-version'] }),
  ...rows('xz-utils', ['xz']),
  ...rows('zstd', ['zstd']),
]);

/** @throws Error (internal) for a name without a row. */
export function toolRow(name: string): ToolRow {
  const row = toolTable.get(name);
  if (row === undefined) throw new Error(`internal: no row in the table of tools for ${name}`);
  return row;
}
