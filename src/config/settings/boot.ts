import type { HostPath } from '../../base/brand.ts';
import { distributions } from '../../distro/distributions.ts';
import { kernelArguments, list, names, pathList } from '../codecs/collections.ts';
import { imagePath, pathOr } from '../codecs/paths.ts';
import { boolean, enumeration, feature, fileName } from '../codecs/scalars.ts';
import { ukiProfiles } from '../codecs/uki-profiles.ts';
import { sameFeature, sameWord } from '../match-rules.ts';
import { constant, derived, optionalSetting, setting, unset } from '../setting.ts';
import { Distribution } from './distribution.ts';
import { Format, Overlay } from './output.ts';
import { Packages, VolatilePackages } from './packages.ts';
import { bootLoaders, laterBootLoaders } from './values.ts';

export const Bootable = setting({
  codec: feature,
  fallback: constant('auto'),
  scope: 'local',
  match: sameFeature,
  summary: 'Make the image bootable',
  doc: '`auto`: if the image has a kernel.',
});

export const Bootloader = setting({
  codec: enumeration(bootLoaders, { later: laterBootLoaders }),
  fallback: constant('systemd-boot'),
  scope: 'local',
  match: sameWord([...bootLoaders, ...laterBootLoaders]),
  summary: 'What the firmware starts',
  doc: `- \`none\`: nothing is installed
- \`uki\`: the unified kernel image, without a boot loader
- \`systemd-boot\`, \`grub\`: this boot loader

With \`-signed\`, what the distribution has signed is taken.`,
});

export const BiosBootloader = setting({
  codec: enumeration(['none', 'grub']),
  fallback: constant('none'),
  scope: 'local',
  summary: 'What starts the image on machines with a BIOS',
  doc: `\`grub\` installs GRUB for PC BIOS beside what boots with UEFI. It needs GRUB's files (Debian: \`grub-pc-bin\`) in the
image; see [Architectures](architectures.md).`,
});

export const ShimBootloader = setting({
  codec: enumeration(['none', 'signed', 'unsigned']),
  fallback: constant('none'),
  scope: 'local',
  effect: 'later',
  summary: 'Put shim before the boot loader',
  doc: `Shim lets machines boot that trust the keys of the firmware alone: \`signed\` takes the one that the distribution has
signed, \`unsigned\` the other one.`,
});

export const UnifiedKernelImages = setting({
  codec: enumeration(['none', 'auto', 'signed', 'unsigned'], { boolean: { yes: 'signed', no: 'none' } }),
  fallback: constant('auto'),
  scope: 'local',
  effect: 'later',
  summary: 'Put kernels into unified kernel images',
  doc: `\`unsigned\` builds them; \`signed\` takes those that the distribution built and signed; \`auto\` builds them where the image
has the boot stub of systemd; \`none\` installs kernel and initrd as files of their own.`,
});

export const UnifiedKernelImageFormat = optionalSetting({
  codec: fileName,
  fallback: unset,
  scope: 'local',
  effect: 'later',
  summary: 'Name of unified kernel images',
  doc: `Without extension. \`&e\` stands for the entry token, \`&k\` for the version of the kernel, \`&h\` for the root hash; they are
known only when the image is built. By default \`&e-&k\`, and \`-&h\` where there is one.`,
});

export const UnifiedKernelImageProfiles = setting({
  codec: ukiProfiles,
  fallback: constant([]),
  scope: 'local',
  effect: 'later',
  flags: { long: 'uki-profile' },
  implicit: [{ suffix: '.uki-profiles', type: 'directory', use: 'entries', ending: '.conf' }],
  summary: 'Further profiles in unified kernel images',
  doc: `Files with a section \`[UKIProfile]\`, in which \`Profile=\` has lines such as \`ID=rescue\`, \`Cmdline=\` further arguments for
the kernel, and \`SignExpectedPcr=no\` leaves out the signature of measurements. By default the files \`*.conf\` in
\`mkimg.uki-profiles/\`.`,
});

/** Formats that have no initrd beside the kernel, whatever Bootable= says. */
const withoutInitrd = ['uki', 'esp'];
/** Formats that have a kernel unless Bootable= says something else. */
const withKernel = ['disk', 'directory', 'tar', 'oci', 'none'];

export const Initrds = setting({
  codec: pathList<HostPath | 'default'>(pathOr({ default: 'default' })),
  fallback: derived(
    { Bootable, Distribution, Format, Overlay, Packages, VolatilePackages },
    ({ Bootable: bootable, ...values }) => {
      if (bootable === false || withoutInitrd.includes(values.Format)) return [];
      const { kernelPackages } = distributions[values.Distribution];
      const kernel = [...values.Packages, ...values.VolatilePackages].some((name) =>
        kernelPackages.test(name),
      );
      const wanted = bootable === true || (kernel && withKernel.includes(values.Format) && !values.Overlay);
      return wanted ? (['default'] as const) : [];
    },
  ),
  scope: 'local',
  flags: { long: 'initrd' },
  summary: 'Initrds to boot with',
  doc: `\`default\` stands for the initrd that mkimg builds; that is also what bootable images get when nothing is set. An
image is bootable where Bootable= says so, or where Packages= names a kernel.`,
});

export const InitrdProfiles = setting({
  codec: names,
  fallback: constant([]),
  scope: 'initrd',
  flags: { long: 'initrd-profile' },
  summary: 'Parts of the default initrd to switch on',
  doc: `For each name, the default initrd reads a profile of its configuration: \`fido2\`, \`hibernate\`, \`iscsi\`, \`keymap\`,
\`live\`, \`lvm\`, \`multipath\`, \`nbd\`, \`network\`, \`nfs\`, \`nvme-of\`, \`pkcs11\`, \`plymouth\`, \`raid\`, \`rescue\`,
\`ssh-unlock\`. What each brings is in [Profiles of initrds](initrd-profiles.md).`,
});

export const InitrdPackages = setting({
  codec: names,
  fallback: constant([]),
  scope: 'initrd',
  flags: { long: 'initrd-package' },
  summary: 'Further packages for the default initrd',
  doc: 'Installed beside those that the default initrd has anyway.',
});

export const InitrdVolatilePackages = setting({
  codec: names,
  fallback: constant([]),
  scope: 'initrd',
  effect: 'later',
  flags: { long: 'initrd-volatile-package' },
  summary: 'Further late packages for the default initrd',
  doc: `As InitrdPackages=, installed on top of what can be kept from the last build; see VolatilePackages=.`,
});

export const MicrocodeHost = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'local',
  effect: 'later',
  summary: "Take only the microcode of this machine's processor",
  doc: `Otherwise the image has the updates for all processors, and boots on any.`,
});

export const Devicetrees = setting({
  codec: list,
  fallback: constant([]),
  scope: 'local',
  effect: 'later',
  oldNames: ['Devicetree'],
  summary: 'Device trees for the kernel',
  doc: `Names of files below the directory of device trees, wildcards allowed, such as \`qcom/sc8280xp-*.dtb\`.`,
});

export const Splash = optionalSetting({
  codec: imagePath,
  fallback: unset,
  scope: 'local',
  effect: 'later',
  summary: 'Picture to show while the image boots',
  doc: `Path of a BMP file in the image, which goes into the unified kernel image.`,
});

export const KernelCommandLine = setting({
  codec: kernelArguments,
  fallback: constant([]),
  scope: 'local',
  summary: 'Arguments for the kernel',
  doc: 'Built into the image. Only blanks separate arguments; in double quotes, blanks belong to the argument.',
});
