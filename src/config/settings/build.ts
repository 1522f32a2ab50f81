import { environment, pathList, trees } from '../codecs/collections.ts';
import { path, pathOr } from '../codecs/paths.ts';
import { boolean, enumeration } from '../codecs/scalars.ts';
import { treeTarget, variable } from '../match-rules.ts';
import { constant, fromContext, optionalSetting, setting, unset } from '../setting.ts';
import { treePath } from '../../base/brand.ts';

const toolsTreeWords = {
  default: 'default',
  yes: 'default',
  true: 'default',
  no: 'no',
  false: 'no',
} as const;

export const ToolsTree = optionalSetting({
  codec: pathOr<'default' | 'no'>(toolsTreeWords),
  fallback: unset,
  scope: 'universal',
  implicit: [{ suffix: '.tools', type: 'directory', use: 'path' }],
  summary: 'Where the programs come from that build the image',
  doc: `\`default\` for a tools tree that mkimg builds, \`no\` for the programs of the host, or the path of a tree. When
nothing is set, the host's programs are used if all that are needed are there and new enough.`,
});

export const Incremental = setting({
  codec: enumeration(['yes', 'no', 'strict'], { boolean: { yes: 'yes', no: 'no' } }),
  fallback: constant('no'),
  scope: 'universal',
  flags: { shorthand: { letter: 'i', text: 'yes' } },
  summary: 'Understood for the sake of mkosi',
  doc: 'mkimg always keeps results that are still valid. `strict` refuses to build what would have to be installed anew.',
});

export const CacheOnly = setting({
  codec: enumeration(['always', 'auto', 'metadata', 'never'], { boolean: { yes: 'always', no: 'auto' } }),
  fallback: constant('auto'),
  scope: 'inherit',
  summary: 'When to ask repositories for news',
  doc: `- \`never\`: at each build
- \`auto\`: when what is known is old
- \`metadata\`: not at all; packages may still be downloaded
- \`always\`: not at all; nothing is downloaded`,
});

export const CacheDirectory = optionalSetting({
  codec: path(),
  fallback: unset,
  scope: 'universal',
  implicit: [{ suffix: '.cache', type: 'directory', use: 'path' }],
  summary: 'Where intermediate results are kept',
  doc: 'By default the cache of the user, shared by all projects.',
});

export const BuildDirectory = optionalSetting({
  codec: path(),
  fallback: unset,
  scope: 'universal',
  implicit: [{ suffix: '.builddir', type: 'directory', use: 'path' }],
  summary: 'Where build scripts keep their files between builds',
  doc: 'Build scripts find it as $BUILDDIR.',
});

export const BuildSources = setting({
  codec: trees({ absolute: false }),
  fallback: fromContext(({ directory }) => [{ source: directory, target: treePath('') }]),
  scope: 'multiversal',
  flags: { long: 'build-sources' },
  match: treeTarget,
  summary: 'Directories that scripts see at /work/src',
  doc: 'Items are `SOURCE[:TARGET]`. By default the configuration directory.',
});

export const Environment = setting({
  codec: environment,
  fallback: constant({}),
  scope: 'local',
  flags: { short: 'E' },
  match: variable,
  summary: 'Environment of scripts and package managers',
  doc: '`NAME=VALUE`, or `NAME` to hand on a variable of the caller.',
});

export const EnvironmentFiles = setting({
  codec: pathList(path({ mustExist: true })),
  fallback: constant([]),
  scope: 'local',
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
