/** Distributions that mkimg can install. */
export const distributionNames = ['debian'] as const;
export type DistributionName = (typeof distributionNames)[number];

/** Distributions that mkosi knows and mkimg does not yet: conditions may name them. */
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

export interface Distribution {
  /** What is installed where neither the user nor the host says another one. */
  readonly defaultRelease: string;
  /** Kind of the root file system where the user does not choose. */
  readonly fileSystem: string;
}

export const distributions: Readonly<Record<DistributionName, Distribution>> = {
  debian: { defaultRelease: 'trixie', fileSystem: 'ext4' },
};
