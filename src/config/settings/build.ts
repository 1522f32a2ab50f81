import { treePath } from '../../base/brand.ts';
import { environment, pathList, trees } from '../codecs/collections.ts';
import { path } from '../codecs/paths.ts';
import { boolean, enumeration, feature, integer } from '../codecs/scalars.ts';
import { treeTarget, variable } from '../match-rules.ts';
import { constant, derived, fromContext, setting } from '../setting.ts';

export const ExtraSearchPaths = setting({
  codec: pathList(path({ mustExist: true, outside: '/usr' })),
  fallback: constant([]),
  scope: 'universal',
  effect: 'later',
  flags: { long: 'extra-search-path' },
  summary: 'Further directories with programs',
  doc: `Directories that are searched for programs before all others, such as the output of a build tree. They must not lie below
/usr.`,
});

export const SandboxTrees = setting({
  codec: trees({ absolute: true, mustExist: true }),
  fallback: constant([]),
  scope: 'universal',
  inTools: true,
  flags: { long: 'sandbox-tree', oldLongs: ['package-manager-tree'] },
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

export const BuildSources = setting({
  codec: trees({ absolute: false, mustExist: true, directory: true }),
  fallback: fromContext(({ directory, isProjectless }) =>
    isProjectless === true ? [] : [{ source: directory, target: treePath('') }],
  ),
  scope: 'multiversal',
  flags: { long: 'build-sources' },
  match: treeTarget,
  summary: 'Directories that scripts see at /work/src',
  doc: 'Items are `SOURCE[:TARGET]`. By default the configuration directory.',
});

export const BuildSourcesEphemeral = setting({
  codec: enumeration(['yes', 'no', 'buildcache'], { boolean: { yes: 'yes', no: 'no' } }),
  fallback: constant('no'),
  scope: 'multiversal',
  summary: 'Throw away what scripts change in the sources',
  doc: `Scripts then write into a layer on top of BuildSources=. \`buildcache\` keeps this layer in BuildDirectory= for the next
build.`,
});

export const Environment = setting({
  codec: environment,
  fallback: constant({}),
  scope: 'local',
  inTools: true,
  flags: { short: 'E' },
  match: variable,
  summary: 'Environment of scripts and package managers',
  doc: '`NAME=VALUE`, or `NAME` to hand on a variable of the caller.',
});

export const EnvironmentFiles = setting({
  codec: pathList(path({ mustExist: true })),
  fallback: constant([]),
  scope: 'local',
  inTools: true,
  flags: { long: 'env-file' },
  implicit: [{ suffix: '.env', type: 'file', use: 'path' }],
  summary: 'Files with environment variables',
  doc: 'Lines of `NAME=VALUE`; Environment= wins over them.',
});

export const WithTests = setting({
  codec: boolean,
  fallback: constant(true),
  scope: 'universal',
  flags: { shorthand: { letter: 'T', text: 'no' } },
  summary: 'Let build scripts run tests',
  doc: 'Build scripts find it as $WITH_TESTS.',
});

export const WithNetwork = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'universal',
  summary: 'Give scripts network',
  doc: 'Prepare scripts have it always.',
});

export const Cacheable = setting({
  codec: boolean,
  fallback: derived({ WithNetwork }, ({ WithNetwork: network }) => !network),
  scope: 'local',
  summary: 'Keep what scripts made for later builds',
  doc: `Scripts run again when anything changes that they can see: themselves, the image before them, the build sources, their
environment. What comes over the network nobody sees, so with WithNetwork=yes they run at each build, unless this setting
says \`yes\`. \`no\` makes all scripts of the image run at each build, prepare scripts too, which are kept otherwise although
they have network.`,
});

export const MakeScriptsExecutable = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'multiversal',
  summary: 'Make scripts executable that are not',
  doc: `Sets the permission in the project itself, where a build would otherwise stop at a script without it.`,
});

export const UseSubvolumes = setting({
  codec: feature,
  fallback: constant('auto'),
  scope: 'universal',
  effect: 'later',
  summary: 'Copy trees as snapshots of btrfs',
  doc: `\`auto\`: if the file system can do it.`,
});

export const RepartOffline = setting({
  codec: boolean,
  fallback: constant(true),
  scope: 'universal',
  effect: 'later',
  summary: 'Make disk images without loop devices',
  doc: `With \`no\`, systemd-repart works on loop devices, which needs root and is the only way for some file systems.`,
});

export const History = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'main',
  summary: 'Remember the command line of the last build',
  doc: `Verbs that use a finished image then see the settings that it was built with.`,
});

export const ForeignUIDRange = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'main',
  effect: 'later',
  flags: { long: 'foreign-uid-range' },
  summary: 'Give output directories to foreign users',
  doc: `The files of a directory then belong to the users from 2147352576 on, which systemd reserves for trees of other systems.`,
});

export const DelegateRanges = setting({
  codec: integer({ minimum: 0, maximum: 65535 }),
  fallback: constant(0),
  scope: 'main',
  effect: 'later',
  summary: 'Ranges of users to ask systemd for',
  doc: `How many ranges of user ids are wanted from systemd-nsresourced when mkimg runs as an ordinary user.`,
});
