import { distributionNames, distributions, laterDistributions } from '../../distro/distributions.ts';
import type { KnownDistribution } from '../../distro/distributions.ts';
import { names, pathList, trees } from '../codecs/collections.ts';
import { path, pathOr } from '../codecs/paths.ts';
import { boolean, enumeration, text } from '../codecs/scalars.ts';
import { url } from '../codecs/secrets.ts';
import { hostDistribution } from '../host-system.ts';
import { sameText, sameWord } from '../match-rules.ts';
import { constant, derived, fromContext, optionalSetting, setting, unset } from '../setting.ts';
import { Distribution, Mirror, Snapshot } from './distribution.ts';

const toolsTreeWords = {
  default: 'default',
  yes: 'default',
  true: 'default',
  no: 'no',
  false: 'no',
} as const;

export const ToolsTree = optionalSetting({
  codec: pathOr<'default' | 'no'>(toolsTreeWords, { mustExist: true }),
  fallback: unset,
  scope: 'universal',
  implicit: [{ suffix: '.tools', type: 'directory', use: 'path' }],
  summary: 'Where the programs come from that build the image',
  doc: `\`default\` for a tools tree that mkimg builds, \`no\` for the programs of the host, or the path of a tree. When
nothing is set, the host's programs are used if all that are needed are there and new enough.

A tree that mkimg builds has the programs that builds need. As soon as a \`ToolsTree…=\` setting or \`mkimg.tools.conf\` says
what shall be in it, it has what \`mkimg summary --image tools\` shows: ToolsTreeProfiles= with their defaults, too.`,
});

export const ToolsTreeDistribution = setting({
  codec: enumeration(distributionNames, { later: laterDistributions }),
  fallback: fromContext((context) => {
    const known = hostDistribution(context);
    return known === undefined ? 'debian' : (distributions[known].toolsDistribution ?? known);
  }),
  scope: 'tools',
  match: sameWord<KnownDistribution>([...distributionNames, ...laterDistributions]),
  summary: 'Distribution of the tools tree',
  doc: `By default the one of the host, or one beside it whose packages have all the tools.`,
});

export const ToolsTreeRelease = setting({
  codec: text,
  fallback: derived(
    { ToolsTreeDistribution },
    (values) => distributions[values.ToolsTreeDistribution].defaultRelease,
  ),
  scope: 'tools',
  match: sameText,
  summary: 'Release of the tools tree',
  doc: `By default the release of ToolsTreeDistribution= that is in development. The tree that mkimg makes for itself is Debian
stable.`,
});

export const ToolsTreeProfiles = setting({
  codec: names,
  fallback: constant(['misc', 'package-manager', 'runtime']),
  scope: 'tools',
  flags: { long: 'tools-tree-profile' },
  summary: 'Groups of tools in the tools tree',
  doc: `\`misc\`, \`package-manager\`, \`runtime\`, \`devel\`, \`gui\` or \`debug\`. The first assignment replaces the default; \`!NAME\`
alone takes a group out of it.`,
});

export const ToolsTreeMirror = optionalSetting({
  codec: url,
  fallback: derived({ Distribution, Mirror, ToolsTreeDistribution }, (values) =>
    values.Distribution === values.ToolsTreeDistribution ? values.Mirror : undefined,
  ),
  scope: 'tools',
  summary: 'URL of the package mirror for the tools tree',
  doc: `By default Mirror=, if the tools tree is of the same distribution as the image.`,
});

export const ToolsTreeSnapshot = optionalSetting({
  codec: text,
  fallback: derived({ Distribution, Snapshot, ToolsTreeDistribution }, (values) =>
    values.Distribution === values.ToolsTreeDistribution ? values.Snapshot : undefined,
  ),
  scope: 'tools',
  effect: 'later',
  summary: 'State of the archive to install the tools tree from',
  doc: `By default Snapshot=, if the tools tree is of the same distribution as the image.`,
});

export const ToolsTreeRepositories = setting({
  codec: names,
  fallback: constant([]),
  scope: 'tools',
  flags: { long: 'tools-tree-repository' },
  summary: 'Further components or repositories for the tools tree',
  doc: `As Repositories=, for ToolsTreeDistribution=.`,
});

export const ToolsTreeSandboxTrees = setting({
  codec: trees({ absolute: true, mustExist: true }),
  fallback: constant([]),
  scope: 'tools',
  flags: { long: 'tools-tree-sandbox-tree', oldLongs: ['tools-tree-package-manager-tree'] },
  oldNames: ['ToolsTreePackageManagerTrees'],
  summary: 'Configuration for the package manager of the tools tree',
  doc: `As SandboxTrees=, for building the tools tree.`,
});

export const ToolsTreePackages = setting({
  codec: names,
  fallback: constant([]),
  scope: 'tools',
  flags: { long: 'tools-tree-package' },
  summary: 'Further packages for the tools tree',
  doc: `Installed beside those of ToolsTreeProfiles=; scripts can then call their programs.`,
});

export const ToolsTreePackageDirectories = setting({
  codec: pathList(path({ mustExist: true })),
  fallback: constant([]),
  scope: 'tools',
  flags: { long: 'tools-tree-package-directory' },
  summary: 'Directories with package files for the tools tree',
  doc: `As PackageDirectories=, for the tools tree.`,
});

export const ToolsTreeCertificates = setting({
  codec: boolean,
  fallback: constant(true),
  scope: 'universal',
  effect: 'later',
  summary: 'Trust the certificates of the tools tree',
  doc: `Programs that fetch something trust the certificate authorities of the tools tree; with \`no\`, those of the host.`,
});
