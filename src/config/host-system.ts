import type { KnownDistribution } from '../distro/distributions.ts';
import { distributions, knownDistribution } from '../distro/distributions.ts';
import type { FallbackContext, HostFacts } from './setting.ts';

type Caller = Pick<FallbackContext, 'host' | 'environment'>;

/**
 * The distribution of the host, or, where it is none that mkimg knows, the first known one that it says it is like. The
 * caller's MKOSI_HOST_DISTRIBUTION= goes before it: mkosi hands the host's to what runs in its boxes.
 */
export function hostDistribution({ host, environment }: Caller): KnownDistribution | undefined {
  return claimedDistribution(environment) ?? detectedDistribution(host);
}

/** The release of the host, if this is what the host runs. */
export function hostRelease(distribution: KnownDistribution, caller: Caller): string | undefined {
  const claimed = claimedDistribution(caller.environment);
  const release = caller.environment['MKOSI_HOST_RELEASE'] ?? '';
  if (claimed !== undefined && release !== '') return claimed === distribution ? release : undefined;
  return detectedDistribution(caller.host) === distribution
    ? detectedRelease(distribution, caller.host)
    : undefined;
}

function claimedDistribution(environment: Caller['environment']): KnownDistribution | undefined {
  const name = environment['MKOSI_HOST_DISTRIBUTION'] ?? '';
  return Object.hasOwn(distributions, name) ? (name as KnownDistribution) : undefined;
}

function detectedDistribution({ distribution, like = [] }: HostFacts): KnownDistribution | undefined {
  for (const id of [distribution, ...like]) {
    const known = knownDistribution(id);
    if (known !== undefined) return known;
  }
  return undefined;
}

/** Debian and its relatives call releases by code names, all others by VERSION_ID=. */
function detectedRelease(known: KnownDistribution, { distribution, codename, version }: HostFacts): string {
  const { packageFormat, defaultRelease } = distributions[known];
  if (packageFormat === 'deb' && codename !== undefined) return codename;
  // Its VERSION_ID= is the day of the snapshot.
  if (distribution === 'opensuse-tumbleweed') return 'tumbleweed';
  return version ?? defaultRelease;
}
