import type { ArchitectureName } from '../../distro/architectures/index.ts';
import type { DistributionName } from '../../distro/distributions.ts';

/** Formats of images. */
export const formats = ['directory', 'tar', 'cpio', 'uki', 'disk'] as const;
export const laterFormats = ['esp', 'oci', 'sysext', 'confext', 'portable', 'addon', 'none'] as const;

/** Ways to compress. */
export const compressions = ['none', 'zstd', 'xz', 'gz'] as const;
export const laterCompressions = ['bz2', 'lz4', 'lzma'] as const;

/** What firmware starts. */
export const bootLoaders = ['none', 'uki', 'systemd-boot'] as const;
export const laterBootLoaders = ['grub', 'uki-signed', 'systemd-boot-signed', 'grub-signed'] as const;

/** How virtual machines boot. */
export const firmwares = ['auto', 'bios', 'linux', 'linux-noinitrd', 'uefi', 'uefi-secure-boot'] as const;

/** Networks of virtual machines. */
export const networks = ['user', 'interface', 'none'] as const;

/** The values that have an effect, of settings that also know values without one. */
export interface BuildableValues {
  readonly Architecture: ArchitectureName;
  readonly Bootloader: (typeof bootLoaders)[number];
  readonly CompressOutput: (typeof compressions)[number];
  readonly Distribution: DistributionName;
  readonly Format: (typeof formats)[number];
}
