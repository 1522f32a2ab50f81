import { list, pathList, trees } from '../codecs/collections.ts';
import { path } from '../codecs/paths.ts';
import { integer } from '../codecs/scalars.ts';
import { constant, optionalSetting, setting } from '../setting.ts';
import { sourceDateEpoch } from './source-date-epoch.ts';

export const BaseTrees = setting({
  codec: pathList(path()),
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'base-tree' },
  summary: 'Trees that the image starts from',
  doc: `Directories, tar archives or disk images that take the place of an empty tree, such as the output of another image of
the project (\`%O/base\`). Packages are installed on top of them.`,
});

export const SkeletonTrees = setting({
  codec: trees({ absolute: true, mustExist: true }),
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'skeleton-tree' },
  implicit: [
    { suffix: '.skeleton', type: 'directory', use: 'path' },
    { suffix: '.skeleton.tar', type: 'file', use: 'path' },
  ],
  summary: 'Trees to copy before packages are installed',
  doc: 'Items are `SOURCE[:TARGET]`: a directory, file or tar archive, and where it goes in the image.',
});

export const ExtraTrees = setting({
  codec: trees({ absolute: true }),
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'extra-tree' },
  implicit: [
    { suffix: '.extra', type: 'directory', use: 'path' },
    { suffix: '.extra.tar', type: 'file', use: 'path' },
  ],
  summary: 'Trees to copy after packages are installed',
  doc: `Items are \`SOURCE[:TARGET]\`: a directory, file or tar archive, and where it goes in the image. Files belong to root,
those of an archive to whom it says.`,
});

export const RemoveFiles = setting({
  codec: list,
  fallback: constant([]),
  scope: 'local',
  summary: 'Files to remove at the end',
  doc: 'Paths in the image, wildcards allowed.',
});

export const RemoveUnusedLibraries = setting({
  codec: list,
  fallback: constant([]),
  scope: 'local',
  summary: 'Libraries to remove at the end, unless something uses them',
  doc: `Names of library files, wildcards allowed (\`libdb-*.so*\`). A library goes when no program or library that stays is
linked to it, or says in a dlopen note that it opens it; what is loaded in other ways must not be named.`,
});

export const SourceDateEpoch = optionalSetting({
  codec: integer(),
  fallback: sourceDateEpoch,
  scope: 'multiversal',
  summary: 'Latest time that a file in the image may have',
  doc: 'Seconds since 1970. By default SOURCE_DATE_EPOCH of Environment= or of the environment.',
});
