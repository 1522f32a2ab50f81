import { enumerationList, globList, pairs, pathList } from '../codecs/collections.ts';
import { path } from '../codecs/paths.ts';
import {
  boolean,
  enumeration,
  feature,
  fileName,
  integer,
  octalMode,
  sectorSize,
  size,
  text,
  uuidOr,
} from '../codecs/scalars.ts';
import { splitArtifacts } from '../codecs/split-artifacts.ts';
import { glob, sameWord, version } from '../match-rules.ts';
import { constant, derived, fromContext, optionalSetting, setting, unset } from '../setting.ts';
import { scripts } from '../implicit-files.ts';
import { compressions, formats, laterCompressions, laterFormats } from './values.ts';

const extensions = {
  directory: '',
  tar: 'tar',
  cpio: 'cpio',
  uki: 'efi',
  disk: 'raw',
  esp: 'raw',
  oci: '',
  sysext: 'raw',
  confext: 'raw',
  portable: 'raw',
  addon: 'efi',
  none: '',
} as const;

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
- \`directory\`: the tree itself
- \`esp\`: a disk image with an EFI system partition alone
- \`oci\`: a container image
- \`sysext\`, \`confext\`, \`portable\`: images that systemd attaches to a running system
- \`addon\`: an addition to a unified kernel image
- \`none\`: nothing; build scripts alone run`,
});

export const ManifestFormat = setting({
  codec: enumerationList(enumeration(['json'], { later: ['changelog'] })),
  fallback: constant([]),
  scope: 'local',
  summary: 'Lists of the installed packages to write',
  doc: `\`json\` writes OUTPUT.manifest in the form that mkosi uses; \`changelog\` writes the latest changes of each
package.`,
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
  inTools: true,
  specifier: 'o',
  essential: true,
  summary: 'Name of the output files, without extension',
  doc: 'By default ImageId= and ImageVersion=, joined by an underscore; `image` where there is no ImageId=.',
});

export const OutputExtension = setting({
  codec: fileName,
  fallback: derived({ Format }, (values) => extensions[values.Format]),
  scope: 'local',
  effect: 'later',
  summary: 'Extension of the output file',
  doc: 'Without the dot. By default it follows from Format=: `raw` for disk images, `efi` for what firmware starts.',
});

export const OutputSize = optionalSetting({
  codec: size,
  fallback: unset,
  scope: 'local',
  effect: 'later',
  summary: 'Size that the disk image is grown to',
  doc: `A disk image that is smaller gets room at its end, which a partition can grow into at first boot. One that is
larger stays as it is.`,
});

export const OutputDirectory = setting({
  codec: path(),
  fallback: fromContext(({ configuration }) => configuration),
  scope: 'universal',
  inTools: true,
  flags: { short: 'O', oldLongs: ['output-dir'] },
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

const usualCompressions = {
  tar: 'zstd',
  cpio: 'zstd',
  uki: 'zstd',
  esp: 'zstd',
  addon: 'zstd',
  oci: 'gz',
} as const;

export const CompressOutput = setting({
  codec: enumeration(compressions, {
    aliases: { zst: 'zstd', gzip: 'gz' },
    boolean: { yes: 'zstd', no: 'none' },
    later: laterCompressions,
  }),
  fallback: derived({ Format }, ({ Format: format }) =>
    format in usualCompressions ? usualCompressions[format as keyof typeof usualCompressions] : 'none',
  ),
  scope: 'local',
  summary: 'How to compress the output',
  doc: 'By default `zstd` for tar, cpio, uki, esp and addon, `gz` for oci, otherwise `none`.',
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
  doc: `\`uki\`, \`kernel\` and \`initrd\` write the parts that boot the image as files of their own, \`partitions\` each
partition of a disk image, \`tar\` the tree, \`roothash\`, \`pcrs\`, \`os-release\`, \`kernel-modules-initrd\` and
\`repart-definitions\` what they say. The first assignment replaces the default. Assign nothing for none.`,
});

export const RepartDirectories = setting({
  codec: pathList(path({ mustExist: true })),
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'repart-directory', oldLongs: ['repart-dir'] },
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

export const Overlay = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'local',
  effect: 'later',
  summary: 'Put out only what differs from BaseTrees=',
  doc: 'The base trees are lower layers of the build, and the image holds the upper layer alone.',
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

export const ElTorito = setting({
  codec: feature,
  fallback: constant('auto'),
  scope: 'local',
  effect: 'later',
  summary: 'Make the disk image bootable from optical media too',
  doc: `Adds an El Torito boot catalogue and an ISO 9660 file system, so that firmware starts the image also as a CD.
\`auto\` does so where no BIOS boot loader is in the way.`,
});

export const ElToritoSystem = optionalSetting({
  codec: text,
  fallback: unset,
  scope: 'local',
  effect: 'later',
  summary: 'System identifier of the ISO 9660 file system',
  doc: 'Up to 32 characters; see ElTorito=.',
});

export const ElToritoVolume = optionalSetting({
  codec: text,
  fallback: unset,
  scope: 'local',
  effect: 'later',
  summary: 'Volume identifier of the ISO 9660 file system',
  doc: 'Up to 32 characters, the name that other systems show for the medium; see ElTorito=.',
});

export const ElToritoPublisher = optionalSetting({
  codec: text,
  fallback: unset,
  scope: 'local',
  effect: 'later',
  summary: 'Publisher in the ISO 9660 file system',
  doc: 'Up to 128 characters; see ElTorito=.',
});

export const OciLabels = setting({
  codec: pairs,
  fallback: constant({}),
  scope: 'local',
  effect: 'later',
  summary: 'Labels in the configuration of a container image',
  doc: '`KEY=VALUE` words, quoted as in a shell. Of a key that comes again the last value counts.',
});

export const OciAnnotations = setting({
  codec: pairs,
  fallback: constant({}),
  scope: 'local',
  effect: 'later',
  summary: 'Annotations in the manifest of a container image',
  doc: '`KEY=VALUE` words, quoted as in a shell. Of a key that comes again the last value counts.',
});

export const CleanScripts = setting({
  codec: globList,
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'clean-script' },
  implicit: scripts('clean', { chroot: false }),
  summary: 'Scripts to run after outputs were removed',
  doc: 'They remove what other scripts left in the output directory, which they find as $OUTPUTDIR.',
});
