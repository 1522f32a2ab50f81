import { builtinSetNames } from '../builtin-sets.ts';
import { globList, names, pathList, profileNames, spaceList } from '../codecs/collections.ts';
import { minimumVersion } from '../codecs/minimum-version.ts';
import { pathOr } from '../codecs/paths.ts';
import { profileMember } from '../match-rules.ts';
import { constant, optionalSetting, setting, unset } from '../setting.ts';

const setNames = Object.fromEntries(builtinSetNames.map((name) => [name, name]));

export const Include = setting({
  codec: pathList(pathOr(setNames, { mustExist: true })),
  fallback: constant([]),
  scope: 'local',
  inTools: true,
  flags: { short: 'I' },
  summary: 'Read another file or directory at this point',
  doc: `A file, or a directory that is read like a configuration directory, takes effect where the line stands: later
lines override it. Each is read once for an image. \`mkimg-vm\`, \`mkimg-initrd\`, \`mkimg-tools\`, \`mkimg-addon\` and
\`mkimg-obs\` (or \`mkosi-\` instead of \`mkimg-\`) name configuration that mkimg brings along.`,
});

export const Profiles = setting({
  codec: profileNames,
  fallback: constant([]),
  scope: 'inherit',
  inTools: true,
  flags: { long: 'profile' },
  match: profileMember,
  essential: true,
  oldNames: ['Profile'],
  summary: 'Parts of the configuration to switch on',
  doc: `For each name, \`mkimg.profiles/NAME/\` and \`mkimg.profiles/NAME.conf\` are read after all other files, in the
order of the list. Conditions can ask for a profile.`,
});

export const Dependencies = setting({
  codec: names,
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'dependency' },
  summary: 'Images that must be built before this one',
  doc: `Names of images in \`mkimg.images/\`. In the main image it says which of them are built at all; by default all of
them are. In another image it says which come before it, and makes them be built with it.`,
});

export const MinimumVersion = optionalSetting({
  codec: minimumVersion,
  fallback: unset,
  scope: 'main',
  summary: 'Oldest mkosi that understands this configuration',
  doc: `A version of mkosi, because that is what existing files name. mkimg understands the language of mkosi 27 and
refuses files that need a newer one. Of several versions the highest counts. \`commit:HASH\` is accepted and not checked.`,
});

export const ConfigureScripts = setting({
  codec: globList,
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'configure-script' },
  implicit: [{ suffix: '.configure', type: 'file', use: 'path' }],
  summary: 'Programs that rewrite the configuration',
  doc: `Each gets the configuration of the image as JSON on standard input and prints it, changed as it likes, on standard
output. They run when all files were read.`,
});

export const PassEnvironment = setting({
  codec: spaceList,
  fallback: constant([]),
  scope: 'main',
  summary: 'Variables of Environment= that other images get too',
  doc: `Names of variables. Environment= holds for one image; the variables that are named here are handed to all images of
the project, to the default initrd and to the tools tree.`,
});
