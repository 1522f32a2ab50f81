import { enumerationList, pathList } from '../codecs/collections.ts';
import { path } from '../codecs/paths.ts';
import { enumeration, fileName, integer, octalMode, sectorSize, text, uuidOr } from '../codecs/scalars.ts';
import { splitArtifacts } from '../codecs/split-artifacts.ts';
import { glob, sameWord, version } from '../match-rules.ts';
import { constant, derived, fromContext, optionalSetting, setting, unset } from '../setting.ts';

const formats = ['directory', 'tar', 'cpio', 'uki', 'disk'] as const;
const laterFormats = ['esp', 'oci', 'sysext', 'confext', 'portable', 'addon', 'none'];

export const Format = setting({
  codec: enumeration(formats, { later: laterFormats }),
  fallback: constant('disk'),
  scope: 'local',
  flags: { short: 't' },
  match: sameWord([...formats, ...laterFormats]),
  specifier: 't',
  essential: true,
  summary: 'What to make of the tree',
  doc: `- \`disk\`: a GPT disk image
- \`uki\`: a unified kernel image whose initrd is the whole tree
- \`cpio\`: an archive that a kernel can take as initrd
- \`tar\`: an archive
- \`directory\`: the tree itself`,
});

export const ManifestFormat = setting({
  codec: enumerationList(enumeration(['json'], { later: ['changelog'] })),
  fallback: constant([]),
  scope: 'local',
  summary: 'Lists of the installed packages to write',
  doc: '`json` writes OUTPUT.manifest in the form that mkosi uses.',
});

export const ImageId = optionalSetting({
  codec: text,
  fallback: unset,
  scope: 'inherit',
  match: glob,
  specifier: 'i',
  essential: true,
  summary: 'Identifier of the image',
  doc: 'Becomes IMAGE_ID in os-release and the default name of the output.',
});

export const ImageVersion = optionalSetting({
  codec: text,
  fallback: unset,
  scope: 'inherit',
  implicit: [{ suffix: '.version', type: 'file', use: 'content' }],
  match: version,
  specifier: 'v',
  essential: true,
  summary: 'Version of the image',
  doc: `Becomes IMAGE_VERSION in os-release and part of the output's name. By default the text of \`mkimg.version\`.
Conditions can compare it: \`ImageVersion=>=2.1\`.`,
});

export const Output = setting({
  codec: fileName,
  fallback: derived({ ImageId, ImageVersion }, (values, { image }) => {
    const name = image === 'main' ? (values.ImageId ?? 'image') : image;
    return values.ImageVersion === undefined ? name : `${name}_${values.ImageVersion}`;
  }),
  scope: 'local',
  flags: { short: 'o' },
  specifier: 'o',
  essential: true,
  summary: 'Name of the output files, without extension',
  doc: 'By default ImageId= and ImageVersion=, joined by an underscore; `image` where there is no ImageId=.',
});

export const OutputDirectory = setting({
  codec: path(),
  fallback: fromContext(({ directory }) => directory),
  scope: 'universal',
  flags: { short: 'O' },
  implicit: [{ suffix: '.output', type: 'directory', use: 'path' }],
  specifier: 'O',
  essential: true,
  summary: 'Where the output files go',
  doc: 'By default `mkimg.output/` if it exists, otherwise the configuration directory.',
});

export const OutputMode = optionalSetting({
  codec: octalMode,
  fallback: unset,
  scope: 'universal',
  summary: 'Permissions of the output files',
  doc: 'In octal digits, such as 0640. By default what the umask leaves.',
});

export const CompressOutput = setting({
  codec: enumeration(['none', 'zstd', 'xz', 'gz'], {
    aliases: { zst: 'zstd', gzip: 'gz' },
    boolean: { yes: 'zstd', no: 'none' },
    later: ['bz2', 'lz4', 'lzma'],
  }),
  fallback: derived({ Format }, (values) =>
    ['tar', 'cpio', 'uki'].includes(values.Format) ? 'zstd' : 'none',
  ),
  scope: 'local',
  summary: 'How to compress the output',
  doc: 'By default `zstd` for tar, cpio and uki, otherwise `none`.',
});

export const CompressLevel = setting({
  codec: integer(),
  fallback: constant(3),
  scope: 'inherit',
  summary: 'How hard to compress',
  doc: 'The level that is handed to the compressor.',
});

export const SplitArtifacts = setting({
  codec: splitArtifacts,
  fallback: constant(['uki', 'kernel', 'initrd']),
  scope: 'local',
  summary: 'Parts to write beside a bootable image',
  doc: `\`uki\`, \`kernel\` and \`initrd\` write the parts that boot the image as files of their own. Assign nothing for
none.`,
});

export const RepartDirectories = setting({
  codec: pathList(path({ mustExist: true })),
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'repart-directory' },
  implicit: [{ suffix: '.repart', type: 'directory', use: 'path' }],
  summary: 'Partition definitions',
  doc: 'Directories with definitions for systemd-repart; they take the place of the built-in ones.',
});

export const SectorSize = optionalSetting({
  codec: sectorSize,
  fallback: unset,
  scope: 'inherit',
  summary: 'Sector size of the disk image',
  doc: '512 to 4096 bytes; by default 512.',
});

export const Seed = optionalSetting({
  codec: uuidOr(['random']),
  fallback: unset,
  scope: 'local',
  implicit: [{ suffix: '.seed', type: 'file', use: 'content' }],
  summary: 'What the ids of partitions and file systems derive from',
  doc: `A UUID, or \`random\` for ids that differ from build to build. By default a fixed one, so that the same image comes
out twice.`,
});
