import { cacheUrl } from '../codecs/cache-url.ts';
import { path } from '../codecs/paths.ts';
import { enumeration, size, text } from '../codecs/scalars.ts';
import { constant, optionalSetting, setting, unset } from '../setting.ts';

export const Incremental = setting({
  codec: enumeration(['yes', 'no', 'strict'], { boolean: { yes: 'yes', no: 'no' } }),
  fallback: constant('no'),
  scope: 'universal',
  flags: { shorthand: { letter: 'i', text: 'yes' } },
  summary: 'Understood for the sake of mkosi',
  doc: 'mkimg always keeps results that are still valid. `strict` refuses to build what would have to be installed anew.',
});

export const CacheOnly = setting({
  codec: enumeration(['always', 'auto', 'metadata', 'never'], {
    aliases: { none: 'auto' },
    boolean: { yes: 'always', no: 'auto' },
  }),
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
  flags: { oldLongs: ['cache-dir'] },
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

export const CacheKey = setting({
  codec: text,
  fallback: constant('&d~&r~&a~&I'),
  scope: 'inherit',
  effect: 'later',
  summary: 'Name below CacheDirectory= of what is kept of an image',
  doc: `\`&d\` stands for the distribution, \`&r\` for the release, \`&a\` for the architecture, \`&i\` for ImageId=, \`&v\` for ImageVersion=,
\`&I\` for the image. mkimg finds what it kept by its content and needs no names.`,
});

export const PackageCacheDirectory = optionalSetting({
  codec: path(),
  fallback: unset,
  scope: 'multiversal',
  effect: 'later',
  flags: { oldLongs: ['package-cache-dir'] },
  implicit: [{ suffix: '.pkgcache', type: 'directory', use: 'path' }],
  summary: 'Where downloaded packages are kept',
  doc: `By default \`mkimg.pkgcache/\`, otherwise a directory in the cache of the user, shared by all projects.`,
});

export const BuildDirectory = optionalSetting({
  codec: path(),
  fallback: unset,
  scope: 'universal',
  flags: { oldLongs: ['build-dir'] },
  implicit: [{ suffix: '.builddir', type: 'directory', use: 'path' }],
  summary: 'Where build scripts keep their files between builds',
  doc: 'Build scripts find it as $BUILDDIR.',
});

export const BuildKey = setting({
  codec: text,
  fallback: constant('&d~&r~&a'),
  scope: 'inherit',
  effect: 'later',
  summary: 'Name below BuildDirectory= for an image',
  doc: `Takes the same \`&\` letters as CacheKey=; \`-\` stands for BuildDirectory= itself.`,
});

export const WorkspaceDirectory = optionalSetting({
  codec: path(),
  fallback: unset,
  scope: 'multiversal',
  effect: 'later',
  flags: { oldLongs: ['workspace-dir'] },
  summary: 'Where temporary trees are made',
  doc: `By default a directory in the cache of the user. It must not lie in the build sources.`,
});
