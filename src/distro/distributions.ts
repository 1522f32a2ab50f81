/** Distributions that mkimg can install. */
export const distributionNames = ['debian'] as const;
export type DistributionName = (typeof distributionNames)[number];

/** Distributions that mkosi knows and mkimg cannot install yet. */
export const laterDistributions = [
  'alma',
  'arch',
  'azure',
  'centos',
  'custom',
  'fedora',
  'kali',
  'mageia',
  'opensuse',
  'openmandriva',
  'postmarketos',
  'rhel',
  'rhel-ubi',
  'rocky',
  'ubuntu',
] as const;
export type KnownDistribution = DistributionName | (typeof laterDistributions)[number];

export interface Distribution {
  /**
   * What is installed where neither the user nor the host says another one; empty where there are no releases. The same
   * as mkosi's, so that projects which say nothing mean the same.
   */
  readonly defaultRelease: string;
  /** Kind of the root file system where the user does not choose. */
  readonly fileSystem: string;
  /** Format of its packages; absent where the user brings the tree. */
  readonly packageFormat?: 'deb' | 'rpm' | 'pacman' | 'apk';
  /** Names of packages with a kernel to boot. */
  readonly kernelPackages: RegExp;
  /** Which one tools are taken from on a host that runs this one, where that is another one. */
  readonly toolsDistribution?: KnownDistribution;
}

const debianKernels = /^linux-image-(?!.*-dbg\b)/;
const fedoraKernels = /^kernel(?:-core)?$/;
const archKernels = /^linux(?:-lts|-zen|-hardened|-rt|-rt-lts)?$/;
const none = /^(?!)/;

const fedoraFamily = { fileSystem: 'ext4', packageFormat: 'rpm', kernelPackages: fedoraKernels } as const;
const enterprise = {
  ...fedoraFamily,
  defaultRelease: '10',
  fileSystem: 'xfs',
  toolsDistribution: 'fedora',
} as const;
const debianFamily = { fileSystem: 'ext4', packageFormat: 'deb', kernelPackages: debianKernels } as const;

/** Source of facts: the release pages of the distributions, and the file systems that their installers choose. */
export const distributions: Readonly<Record<KnownDistribution, Distribution>> = {
  debian: { ...debianFamily, defaultRelease: 'testing' },
  kali: { ...debianFamily, defaultRelease: 'kali-rolling' },
  ubuntu: {
    ...debianFamily,
    defaultRelease: 'devel',
    kernelPackages: /^linux-(?!tools-)/,
    toolsDistribution: 'debian',
  },
  fedora: { ...fedoraFamily, defaultRelease: 'rawhide', fileSystem: 'btrfs' },
  azure: { ...fedoraFamily, defaultRelease: '3.0' },
  mageia: { ...fedoraFamily, defaultRelease: 'cauldron' },
  openmandriva: { ...fedoraFamily, defaultRelease: 'cooker' },
  alma: enterprise,
  centos: enterprise,
  rhel: enterprise,
  'rhel-ubi': enterprise,
  rocky: enterprise,
  opensuse: {
    defaultRelease: 'tumbleweed',
    fileSystem: 'btrfs',
    packageFormat: 'rpm',
    kernelPackages: /^kernel-(?:default|kvmsmall)$/,
  },
  arch: {
    defaultRelease: 'rolling',
    fileSystem: 'ext4',
    packageFormat: 'pacman',
    kernelPackages: archKernels,
  },
  postmarketos: {
    defaultRelease: 'edge',
    fileSystem: 'ext4',
    packageFormat: 'apk',
    kernelPackages: /^linux-(?!(?:tools|firmware)-|headers$)(?!.*-(?:doc|dev|manual)$)/,
  },
  custom: { defaultRelease: '', fileSystem: 'ext4', kernelPackages: none },
};

/** A distribution by its ID= in os-release(5). */
export function knownDistribution(id: string | undefined): KnownDistribution | undefined {
  const aliases: Readonly<Record<string, KnownDistribution>> = {
    almalinux: 'alma',
    azurelinux: 'azure',
    'opensuse-tumbleweed': 'opensuse',
    'opensuse-leap': 'opensuse',
  };
  if (id === undefined) return undefined;
  if (Object.hasOwn(distributions, id)) return id as KnownDistribution;
  return Object.hasOwn(aliases, id) ? aliases[id] : undefined;
}
