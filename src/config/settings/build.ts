import { environment, pathList, trees } from '../codecs/collections.ts';
import { cacheUrl } from '../codecs/cache-url.ts';
import { path, pathOr } from '../codecs/paths.ts';
import { boolean, enumeration, size } from '../codecs/scalars.ts';
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

export const CacheUrl = optionalSetting({
  codec: cacheUrl,
  fallback: unset,
  scope: 'multiversal',
  flags: { long: 'cache-url' },
  summary: 'A cache that several machines share',
  doc: `\`https://HOST/PATH\`, \`http://HOST/PATH\` or \`file:///PATH\`: any server that answers GET and PUT. What the own cache
does not have is taken from there, and what is made is stored there. Whoever can write to it decides what its users build
with; see docs/cache.md. A name and password can stand in the URL, or in ~/.netrc.`,
});

export const CacheAccess = setting({
  codec: enumeration(['read-write', 'read']),
  fallback: constant('read-write'),
  scope: 'multiversal',
  summary: 'Whether results are also stored in the shared cache',
  doc: `- \`read-write\`: yes
- \`read\`: no, they are only taken from it`,
});

export const CacheMaxSize = optionalSetting({
  codec: size,
  fallback: unset,
  scope: 'universal',
  summary: 'How large the own cache may become',
  doc: `After a build that made something, what was unused for the longest time is removed until the results, packages and
indexes that are kept take no more than this. When nothing is set, what was not used for 30 days is removed once a day.`,
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
