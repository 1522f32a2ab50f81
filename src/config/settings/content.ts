import type { ImplicitFile } from '../setting.ts';
import { constant, optionalSetting, setting, unset } from '../setting.ts';
import { globList, list, packages, pathList, spaceList, trees } from '../codecs/collections.ts';
import { path, pathOr } from '../codecs/paths.ts';
import { boolean, enumeration, feature, integer, password, text, uuidOr } from '../codecs/scalars.ts';
import { sameFeature } from '../match-rules.ts';
import { sourceDateEpoch } from './source-date-epoch.ts';

export const Packages = setting({
  codec: packages,
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'package', short: 'p' },
  essential: true,
  summary: 'Packages to install',
  doc: 'Names as the package manager takes them, or paths of package files. They are installed in one transaction.',
});

export const BuildPackages = setting({
  codec: packages,
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'build-package' },
  summary: 'Packages for build scripts only',
  doc: 'Installed where the build scripts run, and not in the image.',
});

export const PackageDirectories = setting({
  codec: pathList(path({ mustExist: true })),
  fallback: constant([]),
  scope: 'universal',
  flags: { long: 'package-directory' },
  implicit: [{ suffix: '.packages', type: 'directory', use: 'path' }],
  summary: 'Directories with package files of your own',
  doc: 'The packages in them can be installed by name and win over those of the distribution.',
});

export const WithRecommends = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'local',
  summary: 'Install recommended packages too',
  doc: 'Otherwise only what packages depend on comes with them.',
});

export const WithDocs = setting({
  codec: boolean,
  fallback: constant(true),
  scope: 'local',
  summary: 'Install documentation',
  doc: 'Without it, manuals and other documents in packages are left out.',
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

export const RemovePackages = setting({
  codec: list,
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'remove-package' },
  summary: 'Packages to remove at the end',
  doc: 'Removed after all scripts but the finalize scripts ran.',
});

export const RemoveFiles = setting({
  codec: list,
  fallback: constant([]),
  scope: 'local',
  summary: 'Files to remove at the end',
  doc: 'Paths in the image, wildcards allowed.',
});

export const CleanPackageMetadata = setting({
  codec: feature,
  fallback: constant('auto'),
  scope: 'local',
  summary: "Remove the package manager's records",
  doc: '`auto` keeps them in directories, in archives, and where the package manager itself is in the image.',
});

export const SourceDateEpoch = optionalSetting({
  codec: integer(),
  fallback: sourceDateEpoch,
  scope: 'multiversal',
  summary: 'Latest time that a file in the image may have',
  doc: 'Seconds since 1970. By default SOURCE_DATE_EPOCH of Environment= or of the environment.',
});

/** mkimg.NAME, mkimg.NAME.chroot, and the files of mkimg.NAME.d/. */
function scripts(name: string): readonly ImplicitFile[] {
  return [
    { suffix: `.${name}`, type: 'file', use: 'path' },
    { suffix: `.${name}.chroot`, type: 'file', use: 'path' },
    { suffix: `.${name}.d`, type: 'directory', use: 'entries' },
  ];
}

export const PrepareScripts = setting({
  codec: globList,
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'prepare-script' },
  implicit: scripts('prepare'),
  oldNames: ['PrepareScript'],
  summary: 'Scripts to run after packages were installed',
  doc: 'They have network. A script whose name ends in `.chroot` runs inside of the image.',
});

export const BuildScripts = setting({
  codec: globList,
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'build-script' },
  implicit: scripts('build'),
  oldNames: ['BuildScript'],
  summary: 'Scripts that build software',
  doc: 'What they put into $DESTDIR is copied into the image. They run on a copy with BuildPackages= installed.',
});

export const PostInstallationScripts = setting({
  codec: globList,
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'postinst-script' },
  implicit: scripts('postinst'),
  oldNames: ['PostInstallationScript'],
  summary: 'Scripts that adapt the image',
  doc: 'They run after extra trees and build results were copied.',
});

export const FinalizeScripts = setting({
  codec: globList,
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'finalize-script' },
  implicit: scripts('finalize'),
  oldNames: ['FinalizeScript'],
  summary: 'Scripts that have the last word',
  doc: 'They run when the tree is finished, before it is packed.',
});

export const Bootable = setting({
  codec: feature,
  fallback: constant('auto'),
  scope: 'local',
  match: sameFeature,
  summary: 'Make the image bootable',
  doc: '`auto`: if the image has a kernel.',
});

export const Bootloader = setting({
  codec: enumeration(['none', 'uki', 'systemd-boot'], {
    later: ['grub', 'uki-signed', 'systemd-boot-signed', 'grub-signed'],
  }),
  fallback: constant('systemd-boot'),
  scope: 'local',
  summary: 'What the firmware starts',
  doc: '`uki` starts the unified kernel image without a boot loader.',
});

export const Initrds = optionalSetting({
  codec: pathList(pathOr({ default: 'default' })),
  fallback: unset,
  scope: 'local',
  flags: { long: 'initrd' },
  summary: 'Initrds to boot with',
  doc: '`default` stands for the initrd that mkimg builds; that is also what bootable images get when nothing is set.',
});

export const InitrdPackages = setting({
  codec: packages,
  fallback: constant([]),
  scope: 'local',
  flags: { long: 'initrd-package' },
  summary: 'Further packages for the default initrd',
  doc: 'Installed beside those that the default initrd has anyway.',
});

export const KernelCommandLine = setting({
  codec: spaceList,
  fallback: constant([]),
  scope: 'local',
  summary: 'Arguments for the kernel',
  doc: 'Built into the image. Only blanks separate arguments.',
});

export const KernelModulesInitrd = setting({
  codec: boolean,
  fallback: constant(true),
  scope: 'local',
  summary: 'Put kernel modules into an initrd segment',
  doc: 'One segment for each kernel of the image, behind the initrds.',
});

export const KernelInitrdModules = setting({
  codec: list,
  fallback: constant([]),
  scope: 'local',
  summary: 'Kernel modules for that segment',
  doc: `Names or wildcards; a \`-\` before one leaves modules out; the last that matches counts. \`default\` stands for what
a generic initrd needs to find and mount a root file system; a list that is empty, or only leaves modules out, begins with it.`,
});

export const Locale = optionalSetting({
  codec: text,
  fallback: unset,
  scope: 'local',
  summary: 'LANG= of the system',
  doc: 'Such as C.UTF-8.',
});

export const LocaleMessages = optionalSetting({
  codec: text,
  fallback: unset,
  scope: 'local',
  summary: 'LC_MESSAGES= of the system',
  doc: 'The language of messages, where it differs from Locale=.',
});

export const Keymap = optionalSetting({
  codec: text,
  fallback: unset,
  scope: 'initrd-inherit',
  summary: 'Keyboard of the console',
  doc: 'Such as de or us.',
});

export const Timezone = optionalSetting({
  codec: text,
  fallback: unset,
  scope: 'initrd-inherit',
  summary: 'Time zone of the system',
  doc: 'Such as Europe/Berlin.',
});

export const Hostname = optionalSetting({
  codec: text,
  fallback: unset,
  scope: 'initrd-inherit',
  summary: 'Name of the system',
  doc: 'Written to /etc/hostname and, as the default name, to os-release.',
});

export const RootShell = optionalSetting({
  codec: text,
  fallback: unset,
  scope: 'local',
  summary: "Root's shell",
  doc: 'Path of a shell in the image.',
});

export const RootPassword = optionalSetting({
  codec: password,
  fallback: unset,
  scope: 'initrd-inherit',
  implicit: [{ suffix: '.rootpw', type: 'file', use: 'content' }],
  summary: "Root's password",
  doc: `In clear, or \`hashed:\` and a crypt(3) hash. \`hashed:\` alone is the empty password. By default the text of
\`mkimg.rootpw\`, which others must not be able to read.`,
});

export const MachineId = setting({
  codec: uuidOr(['random', 'uninitialized']),
  fallback: constant('uninitialized'),
  scope: 'local',
  implicit: [{ suffix: '.machine-id', type: 'file', use: 'content' }],
  summary: 'Content of /etc/machine-id',
  doc: '`uninitialized` lets each machine make its own at first boot.',
});

export const Autologin = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'local',
  flags: { shorthand: { letter: 'a', text: 'yes' } },
  summary: 'Log root in on the consoles',
  doc: 'For trying images out.',
});

export const MakeInitrd = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'local',
  summary: 'Make the image an initrd',
  doc: 'Adds /etc/initrd-release and /init, which systemd needs to act as an initrd.',
});
