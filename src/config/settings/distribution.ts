import { architectureNames } from '../../distro/architectures.ts';
import { distributionNames, distributions, laterDistributions } from '../../distro/distributions.ts';
import { list, trees } from '../codecs/collections.ts';
import { boolean, enumeration, text } from '../codecs/scalars.ts';
import { architecture, member, sameText, sameWord } from '../match-rules.ts';
import { constant, derived, fromContext, optionalSetting, setting, unset } from '../setting.ts';

export const Distribution = setting({
  codec: enumeration(distributionNames, { later: laterDistributions }),
  fallback: constant('debian'),
  scope: 'universal',
  flags: { short: 'd' },
  match: sameWord([...distributionNames, ...laterDistributions]),
  specifier: 'd',
  essential: true,
  summary: 'Distribution to install',
  doc: 'The distribution that packages come from.',
});

export const Release = setting({
  codec: text,
  fallback: derived({ Distribution }, (values, { host }) =>
    host.distribution === values.Distribution && host.codename !== undefined
      ? host.codename
      : distributions[values.Distribution].defaultRelease,
  ),
  scope: 'universal',
  flags: { short: 'r' },
  match: sameText,
  specifier: 'r',
  essential: true,
  summary: 'Release of the distribution',
  doc: `A code name such as \`trixie\`, or an alias such as \`stable\`. By default the release of the host, if the host runs
the same distribution, otherwise the current stable release.`,
});

export const Architecture = setting({
  codec: enumeration(architectureNames, {
    later: [
      'alpha',
      'arc',
      'ia64',
      'mips-le',
      'mips64-le',
      'parisc',
      'ppc',
      'ppc64',
      's390',
      'tilegx',
      'riscv32',
    ],
  }),
  fallback: fromContext(({ host }) => host.architecture),
  scope: 'universal',
  match: architecture,
  specifier: 'a',
  essential: true,
  summary: 'Architecture to build for',
  doc: 'A name as systemd uses it (`x86-64`, `arm64`, `riscv64`). By default the architecture of the host.',
});

export const Mirror = optionalSetting({
  codec: text,
  fallback: unset,
  scope: 'universal',
  flags: { short: 'm' },
  summary: 'URL of the package mirror',
  doc: `By default the repositories of the host, if the host runs the same distribution, otherwise the distribution's
public mirror network.`,
});

export const Repositories = setting({
  codec: list,
  fallback: constant([]),
  scope: 'universal',
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

export const SandboxTrees = setting({
  codec: trees({ absolute: true, mustExist: true }),
  fallback: constant([]),
  scope: 'universal',
  flags: { long: 'sandbox-tree' },
  implicit: [
    { suffix: '.sandbox', type: 'directory', use: 'path' },
    { suffix: '.sandbox.tar', type: 'file', use: 'path' },
    { suffix: '.pkgmngr', type: 'directory', use: 'path' },
    { suffix: '.pkgmngr.tar', type: 'file', use: 'path' },
  ],
  oldNames: ['PackageManagerTrees'],
  summary: 'Configuration for package managers and other tools',
  doc: 'Trees that tools see on top of their /etc: repositories, keys, `etc/apt`.',
});
