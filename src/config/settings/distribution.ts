import { architectureNames, laterArchitectures } from '../../distro/architectures/index.ts';
import type { KnownDistribution } from '../../distro/distributions.ts';
import { distributionNames, distributions, laterDistributions } from '../../distro/distributions.ts';
import { names } from '../codecs/collections.ts';
import { boolean, enumeration, text } from '../codecs/scalars.ts';
import { url } from '../codecs/secrets.ts';
import { hostDistribution, hostRelease } from '../host-system.ts';
import { architecture, member, sameText, sameWord } from '../match-rules.ts';
import { constant, derived, fromContext, optionalSetting, setting, unset } from '../setting.ts';

export const Distribution = setting({
  codec: enumeration(distributionNames, { later: laterDistributions }),
  fallback: fromContext((context) => hostDistribution(context) ?? 'debian'),
  scope: 'universal',
  flags: { short: 'd' },
  match: sameWord<KnownDistribution>([...distributionNames, ...laterDistributions]),
  specifier: 'd',
  essential: true,
  summary: 'Distribution to install',
  doc: `The distribution that packages come from. By default the one of the host; \`debian\` where mkimg does not know that
one.`,
});

export const Release = setting({
  codec: text,
  fallback: derived(
    { Distribution },
    (values, context) =>
      hostRelease(values.Distribution, context) ?? distributions[values.Distribution].defaultRelease,
  ),
  scope: 'universal',
  flags: { short: 'r' },
  match: sameText,
  specifier: 'r',
  essential: true,
  summary: 'Release of the distribution',
  doc: `A code name such as \`trixie\`, an alias such as \`stable\`, or a number, as the distribution has them. By default
the release of the host, if the host runs the same distribution, otherwise the one that is in development: \`testing\`
for Debian, \`rawhide\` for Fedora.`,
});

export const Architecture = setting({
  codec: enumeration(architectureNames, { later: laterArchitectures }),
  fallback: fromContext(({ host }) => host.architecture),
  scope: 'universal',
  match: architecture,
  specifier: 'a',
  essential: true,
  summary: 'Architecture to build for',
  doc: `A name as systemd uses it (\`x86-64\`, \`arm64\`, \`riscv64\`). By default the architecture of the host. In
conditions, \`uefi\` stands for all that can have UEFI firmware.`,
});

export const Mirror = optionalSetting({
  codec: url,
  fallback: unset,
  scope: 'universal',
  flags: { short: 'm' },
  summary: 'URL of the package mirror',
  doc: `By default the repositories of the host, if the host runs the same distribution, otherwise the distribution's
public mirror network.`,
});

export const Snapshot = optionalSetting({
  codec: text,
  fallback: unset,
  scope: 'universal',
  inTools: true,
  effect: 'later',
  implicit: [{ suffix: '.snapshot', type: 'file', use: 'content' }],
  summary: 'State of the archive to install from',
  doc: `The name of a frozen state of the distribution's archive, so that the same packages are found again later: a time
such as \`20250801T120000Z\` for Debian. By default the text of \`mkimg.snapshot\`.`,
});

export const LocalMirror = optionalSetting({
  codec: url,
  fallback: unset,
  scope: 'universal',
  inTools: true,
  effect: 'later',
  summary: 'URL of one repository to use in place of all others',
  doc: `A single flat repository that replaces those of the distribution during the build. The image does not learn of
it.`,
});

export const Repositories = setting({
  codec: names,
  fallback: constant([]),
  scope: 'universal',
  inTools: true,
  flags: { long: 'repositories' },
  match: member,
  summary: 'Further components or repositories to use',
  doc: 'For Debian, components beside `main`, such as `contrib` or `non-free-firmware`.',
});

export const RepositoryKeyCheck = setting({
  codec: boolean,
  fallback: constant(true),
  scope: 'multiversal',
  summary: 'Check the signatures of repositories',
  doc: 'Without it, nothing proves that packages are what the distribution published.',
});

export const CheckValidUntil = setting({
  codec: boolean,
  fallback: constant(true),
  scope: 'multiversal',
  summary: 'Refuse repository metadata past its date',
  doc: `An addition of mkimg. A release file past its Valid-Until date may hide security updates, so it is refused. Set
this to no for frozen or slow mirrors.`,
});
