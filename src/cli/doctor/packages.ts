import type { HostFacts } from '../../config/setting.ts';

type Family = 'arch' | 'debian' | 'fedora' | 'suse';

const commands: Readonly<Record<Family, string>> = {
  arch: 'pacman -S --needed',
  debian: 'apt install',
  fedora: 'dnf install',
  suse: 'zypper install',
};

const families: Readonly<Record<string, Family>> = {
  arch: 'arch',
  centos: 'fedora',
  debian: 'debian',
  fedora: 'fedora',
  opensuse: 'suse',
  rhel: 'fedora',
  suse: 'suse',
  ubuntu: 'debian',
};

/** Debian's name of a package, and those of others where they are not the same. */
const otherNames: Readonly<Record<string, Partial<Record<Exclude<Family, 'debian'>, string>>>> = {
  'openssh-client': { arch: 'openssh', fedora: 'openssh-clients', suse: 'openssh-clients' },
  ovmf: { arch: 'edk2-ovmf', fedora: 'edk2-ovmf', suse: 'qemu-ovmf-x86_64' },
  'qemu-system-arm': { arch: 'qemu-system-aarch64', fedora: 'qemu-system-aarch64', suse: 'qemu-arm' },
  'qemu-system-x86': { arch: 'qemu-system-x86', fedora: 'qemu-system-x86', suse: 'qemu-x86' },
  'qemu-user-binfmt': {
    arch: 'qemu-user-static-binfmt',
    fedora: 'qemu-user-static',
    suse: 'qemu-linux-user',
  },
  'systemd-container': { arch: 'systemd', fedora: 'systemd-container', suse: 'systemd-container' },
  uidmap: { arch: 'shadow', fedora: 'shadow-utils', suse: 'shadow' },
  'xz-utils': { arch: 'xz', fedora: 'xz', suse: 'xz' },
};

/** Debian releases that have the emulators' registration in the package of static ones. */
const olderEmulators = new Set(['bookworm', 'bullseye', 'jammy', 'noble', 'focal']);

/** The command that installs packages here, by their names in Debian. Pure. */
export function installCommand(host: HostFacts, packages: readonly string[]): string {
  const family = familyOf(host);
  const names = packages.map((name) => nameIn(family, name, host));
  return `${commands[family ?? 'debian']} ${[...new Set(names)].sort().join(' ')}`;
}

function familyOf({ distribution, like = [] }: HostFacts): Family | undefined {
  return [distribution ?? '', ...like].map((id) => families[id]).find((family) => family !== undefined);
}

function nameIn(family: Family | undefined, name: string, { codename }: HostFacts): string {
  if (family === undefined || family === 'debian') {
    return name === 'qemu-user-binfmt' && olderEmulators.has(codename ?? '') ? 'qemu-user-static' : name;
  }
  return otherNames[name]?.[family] ?? name;
}
