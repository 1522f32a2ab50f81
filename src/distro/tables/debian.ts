/** What mkimg knows about one release of Debian. */
export interface DebianRelease {
  readonly codename: string;
  /** Suite names that point at it now. */
  readonly aliases: readonly string[];
  /** Has a CODENAME-updates suite in the archive. */
  readonly updates: boolean;
  /** Has a CODENAME-security suite in the security archive. */
  readonly security: boolean;
  /** Major version of its systemd, where the release no longer changes it. */
  readonly systemd?: number;
}

/** Releases that mkimg is tested with. Source of facts: the Release files of the archive, November 2026. */
export const debianReleases: readonly DebianRelease[] = [
  { codename: 'bookworm', aliases: ['oldstable'], updates: true, security: true, systemd: 252 },
  { codename: 'trixie', aliases: ['stable'], updates: true, security: true, systemd: 257 },
  { codename: 'forky', aliases: ['testing'], updates: true, security: true },
  { codename: 'sid', aliases: ['unstable'], updates: false, security: false },
];

/** Facts of a release by codename or alias; an unknown one is taken as a release with updates and security support. */
export function debianReleaseFacts(name: string): DebianRelease {
  const known = debianReleases.find((release) => release.codename === name || release.aliases.includes(name));
  return known ?? { codename: name, aliases: [], updates: true, security: true };
}
