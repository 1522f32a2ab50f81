import type { HostPath, TreePath } from '../base/brand.ts';
import type { DlopenAction } from '../config/codecs/dlopen-policy.ts';
import type { ArchitectureName } from '../distro/architectures/index.ts';
import type { RepositorySet } from '../distro/repositories.ts';
import type { HostInput, PlannedOutput, Ref, SecretInput, TreeMapping, Unkeyed } from './step.ts';

export type Compression =
  { readonly algorithm: 'none' } | { readonly algorithm: 'zstd' | 'xz' | 'gz'; readonly level: number };

/** DlopenPolicy=: what to do about missing libraries, by soname, feature or priority. */
export type DlopenPolicy = Readonly<Record<string, DlopenAction>>;

export type ScriptPhase = 'prepare' | 'build' | 'postinst' | 'finalize' | 'postoutput';

/** One package request as the user wrote it; `file` for `Packages=/path/to.deb` or `./x.deb`. */
export interface PackageRequest {
  readonly names: readonly string[];
  /** The files among `names`, so that their contents count. */
  readonly files?: readonly HostInput[];
  /** Packages to resolve on top of; absent for a new tree. */
  readonly installed?: Ref<'file'>;
  /** A tree whose packages are there, below those of `installed` (BaseTrees=). */
  readonly installedIn?: Ref<'tree'>;
  readonly recommends: boolean;
  /** Nothing else than what is named, whatever it depends on: only files are taken of it, nothing is run. */
  readonly alone?: true;
  /** Directories with local package files (PackageDirectories=). */
  readonly packageDirectories: readonly PackageDirectory[];
}

/** Where the content of a package is taken from that is installed on a running system. */
export type HostPackageSource =
  /** The installed files of packages that are as dpkg's database says: all are there, with the digests that it has. */
  | 'intact'
  /** Package files in mkimg's own cache and in APT's. */
  | 'cache'
  /** Downloads from the repositories, where APT's lists still have the installed version. */
  | 'repository'
  /** The installed files of all others, by dpkg's lists of them. */
  | 'installed';

/**
 * The packages of a running system come first: in the versions that are installed there. What is not installed is chosen by
 * APT with the system's own lists, or left out with a warning where it cannot be had.
 */
export interface HostPackages {
  /** Root directory of the system. Its state counts as the state of the repositories does: it is read when the step runs. */
  readonly root: HostPath;
  /** Tried in this order. */
  readonly sources: readonly HostPackageSource[];
}

/** A directory with package files: the user's, what scripts put into $PACKAGEDIR, or one in another image. */
export type PackageDirectory = HostInput | MadePackages;

/** Package files that other steps made. */
export type MadePackages =
  { readonly products: Ref<'products'> } | { readonly tree: Ref<'tree'>; readonly inside: TreePath };

/** How scripts see BuildSources=: as they are, or under a layer that is thrown away, or kept in the build directory. */
export type SourcesMode = 'direct' | 'ephemeral' | 'buildcache';

/** Environment that mkosi's scripts expect; values that hold paths inside the sandbox are added by the step. */
export interface ScriptSettings {
  readonly phase: ScriptPhase;
  readonly scripts: readonly { readonly file: HostInput; readonly chroot: boolean; readonly name: string }[];
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly network: boolean;
  /** BuildSources=: host directories mounted at /work/src/TARGET. */
  readonly sources: readonly { readonly source: HostInput; readonly target: TreePath }[];
  readonly sourcesMode?: SourcesMode;
  /** BuildDirectory=: kept between builds, so never part of a key. */
  readonly buildDirectory?: Unkeyed<HostPath>;
  /** What the image's earlier scripts put into $PACKAGEDIR, $ARTIFACTDIR and $OUTPUTDIR. */
  readonly products?: Ref<'products'>;
  /** Packages that images built before this one made. */
  readonly packages?: readonly Ref<'products'>[];
  /** Where scripts beside the tree may install packages from; absent without network. */
  readonly repositories?: RepositorySet;
  /** Another value in each build, for scripts that have to run again; see Cacheable=. */
  readonly again?: string;
  /** JSON of the resolved configuration (MKOSI_CONFIG), secrets redacted. */
  readonly configJson: string;
}

/** Each kind of step and what it takes. All that can change the output stands here; see engine/key.ts. */
export interface StepInputs {
  // --- packages -------------------------------------------------------------------------------------------------
  /** Names to exact packages against one state of the repositories. Output: `file`, a ResolvedPackages document. */
  'resolve-packages': {
    readonly repositories: RepositorySet;
    readonly request: PackageRequest;
    readonly architecture: ArchitectureName;
    /** Only for new trees. */
    readonly host?: HostPackages;
  };
  /**
   * Adds the packages of libraries that programs of the resolved packages open when they run, as far as the policy says `add`,
   * and what they depend on. Output: `file`, a ResolvedPackages document with the reasons.
   */
  'add-dlopens': StepInputs['resolve-packages'] & {
    readonly resolved: Ref<'file'>;
    readonly policy: DlopenPolicy;
    readonly packages?: readonly MadePackages[];
  };
  /**
   * Files of packages that need not be installed for them, such as boot loaders of another architecture. Output: `files`, by
   * their names without directories.
   */
  'extract-files': {
    readonly resolved: Ref<'file'>;
    /** Paths in the packages without the leading slash; wildcards as in tar(1), where * matches slashes, too. */
    readonly patterns: readonly string[];
  };
  /**
   * The base set of resolved packages alone, so that images which share it share what is made of it. Output: `file`, a
   * ResolvedPackages document.
   */
  'select-base': { readonly resolved: Ref<'file'> };
  /**
   * Downloads and extracts packages while others are set up. Output: `file`, a ResolvedPackages document of those whose content
   * is in the store.
   */
  'extract-packages': {
    readonly resolved: Ref<'file'>;
    readonly architecture: ArchitectureName;
    /** As in unpack-packages. */
    readonly packages?: readonly MadePackages[];
  };
  /**
   * The resolved packages, unpacked and not configured: a new tree, shared with all other trees of the same packages, or what
   * `base` does not have of them, as a layer above it. Empty when only dpkg itself can unpack them. Output: `tree`.
   */
  'unpack-packages': {
    readonly base?: Ref<'tree'>;
    readonly resolved: Ref<'file'>;
    /** extract-packages, which has done the most of it meanwhile. */
    readonly extracted?: Ref<'file'>;
    readonly architecture: ArchitectureName;
    readonly documentation: boolean;
    /** Where local packages are that `resolved` may name. It has their digests, so these do not count. */
    readonly packages?: readonly MadePackages[];
    /** Patterns of what a later step removes. What no known maintainer script needs may be missing already. */
    readonly leaveOut?: readonly string[];
  };
  /** Installs exactly what was resolved, or sets up what the base tree has unpacked. Output: `tree`. */
  'install-packages': {
    readonly base?: Ref<'tree'>;
    readonly resolved: Ref<'file'>;
    readonly architecture: ArchitectureName;
    readonly documentation: boolean;
    /** Maintainer scripts must not build boot files; always true but for Bootable=no images (mkosi's rule). */
    readonly bootable: boolean;
    readonly environment: Readonly<Record<string, string>>;
    /** More packages follow, whose installation runs the triggers of these, too. */
    readonly triggersLater?: true;
    /** As in unpack-packages. */
    readonly packages?: readonly MadePackages[];
    /** Leave maintainer scripts out where all are known (SkipKnownScripts=); only for trees of unpacked packages. */
    readonly skipKnownScripts?: true;
  };
  /** Writes etc/apt/sources.list.d/debian.sources where apt is installed and the file is not there. */
  'apt-sources': { readonly base: Ref<'tree'>; readonly text: string };
  'remove-packages': {
    readonly base: Ref<'tree'>;
    readonly names: readonly string[];
    readonly architecture: ArchitectureName;
  };
  'clean-package-metadata': { readonly base: Ref<'tree'> };

  // --- files and scripts ----------------------------------------------------------------------------------------
  /** Copies host trees (directory or tar) into the tree, owned by root. */
  'copy-trees': { readonly base?: Ref<'tree'>; readonly trees: readonly TreeMapping[] };
  /** Copies a tree made by another step into this one (DESTDIR of build scripts). */
  'merge-tree': { readonly base: Ref<'tree'>; readonly source: Ref<'tree'> };
  'run-scripts': { readonly base: Ref<'tree'> } & ScriptSettings;
  /** Build scripts: run on an overlay of `base` that is thrown away; output `tree` is what they put into $DESTDIR. */
  'run-build-scripts': { readonly base: Ref<'tree'> } & ScriptSettings;
  /**
   * Post-output scripts: run on a directory of all outputs of an image. Output: `tree`, what is in the directory afterwards.
   */
  'run-postoutput-scripts': {
    readonly outputs: readonly PlannedOutput[];
  } & ScriptSettings;
  'remove-unused-libraries': { readonly base: Ref<'tree'>; readonly patterns: readonly string[] };
  'remove-files': { readonly base: Ref<'tree'>; readonly patterns: readonly string[] };

  // --- finishing ------------------------------------------------------------------------------------------------
  /** Moves kernels to usr/lib/modules/VERSION/vmlinuz, so that every later step finds them in one place. */
  'place-kernels': { readonly base: Ref<'tree'> };
  /** Makes indexes of the modules in extracted packages. Output: `file`, the versions of their kernels. */
  'index-modules': { readonly extracted: Ref<'file'> };
  depmod: {
    readonly base: Ref<'tree'>;
    /** index-modules, which may have made the indexes meanwhile. */
    readonly indexed?: Ref<'file'>;
  };
  hwdb: { readonly base: Ref<'tree'> };
  sysusers: { readonly base: Ref<'tree'>; readonly epoch: number };
  /** `rootOwned`: the owners of what is made do not matter. */
  tmpfiles: { readonly base: Ref<'tree'>; readonly rootOwned?: true };
  presets: { readonly base: Ref<'tree'> };
  /** machine-id, os-release additions, clock-epoch. */
  identity: {
    readonly base: Ref<'tree'>;
    readonly imageId?: string;
    readonly imageVersion?: string;
    readonly hostname?: string;
    /** `uninitialized`, or 32 hexadecimal digits. */
    readonly machineId: string;
  };
  firstboot: {
    readonly base: Ref<'tree'>;
    readonly locale?: string;
    readonly localeMessages?: string;
    readonly keymap?: string;
    readonly timezone?: string;
    readonly hostname?: string;
    readonly rootShell?: string;
    /** Clear text or crypt(3) hash, as `hashed` says. */
    readonly rootPassword?: { readonly value: SecretInput; readonly hashed: boolean };
  };
  autologin: { readonly base: Ref<'tree'>; readonly architecture: ArchitectureName };
  /** /init, for images that the kernel starts as an initrd; with `isInitrd` it goes on to another root from there. */
  'make-initrd': { readonly base: Ref<'tree'>; readonly isInitrd: boolean };
  /** systemd-boot into the tree's /efi or /boot, as `bootctl install --root` does. */
  'install-boot-loader': { readonly base: Ref<'tree'>; readonly architecture: ArchitectureName };
  /**
   * Fails, or warns, where programs of the tree open libraries that it lacks (DlopenPolicy=). `host`: a system whose packages
   * can tell which of them has a library.
   */
  'check-dlopens': {
    readonly base: Ref<'tree'>;
    readonly policy: DlopenPolicy;
    readonly host?: Unkeyed<HostPath>;
  };
  /** Removes what the host and the package manager left: logs, caches, random seeds, device nodes, resolv.conf. */
  'clean-traces': { readonly base: Ref<'tree'> };

  // --- packing --------------------------------------------------------------------------------------------------
  /** Package list of a finished tree as mkosi's manifest JSON. Output: `file`. */
  manifest: {
    readonly tree: Ref<'tree'>;
    readonly image: Readonly<Record<string, string>>;
  };
  /** newc archive of a tree. Output: `file`. */
  'pack-cpio': {
    readonly tree: Ref<'tree'>;
    readonly compression: Compression;
    readonly epoch: number;
    /** RootOwned=: all entries belong to root, without set-id bits. */
    readonly rootOwned?: true;
  };
  'pack-tar': { readonly tree: Ref<'tree'>; readonly compression: Compression; readonly epoch: number };
  /** A copy of the tree as a plain directory that the user owns. Output: `tree` without layers below it. */
  'pack-directory': { readonly tree: Ref<'tree'>; readonly epoch: number };
  /** Kernel modules and firmware of each kernel in the tree as an initrd segment. Output: `files`, VERSION.cpio.zst. */
  'pack-kernel-modules': {
    readonly tree: Ref<'tree'>;
    readonly modules: readonly string[];
    readonly compression: Compression;
    readonly epoch: number;
  };
  /**
   * Concatenates initrd segments for each kernel that `kernels` names, with the kernel's own segment of `perKernel` (if
   * any) at the end. Output: `files`, VERSION.initrd.
   */
  'join-initrds': {
    readonly segments: readonly (Ref<'file'> | HostInput)[];
    readonly kernels: Ref<'files'>;
    readonly perKernel?: Ref<'files'>;
  };
  /** The kernels of the tree as they are. Output: `files`, VERSION.vmlinuz. */
  'extract-kernels': { readonly tree: Ref<'tree'> };
  /** One unified kernel image for each kernel. Output: `files`, VERSION.efi. */
  'build-uki': {
    readonly tree: Ref<'tree'>;
    readonly initrds: Ref<'files'>;
    readonly commandLine: readonly string[];
    readonly architecture: ArchitectureName;
    readonly epoch: number;
  };
  /** GPT disk image by systemd-repart. Output: `file`; meta holds the partition list. */
  /** The root file system of the built-in disk layout. Output: `file`, an ext4 file system. */
  'make-file-system': {
    readonly tree: Ref<'tree'>;
    /** /boot and /efi are on a partition of their own. */
    readonly withoutBoot: boolean;
    readonly label: string;
    readonly seed: string;
    readonly epoch: number;
  };
  'build-disk': {
    readonly tree: Ref<'tree'>;
    /** For the built-in layout; absent where there are definitions. */
    readonly rootFileSystem?: Ref<'file'>;
    /** Unified kernel images for the ESP; absent for images that do not boot. */
    readonly ukis?: Ref<'files'>;
    /** What machines without UEFI start; beside `ukis` for those that can have both. */
    readonly platformBoot?: {
      /** GRUB for PC BIOS or for Open Firmware; the boot map of a mainframe. */
      readonly loader: 'grub-pc' | 'grub-ieee1275' | 'zipl';
      readonly kernels: Ref<'files'>;
      readonly initrds: Ref<'files'>;
      readonly commandLine: readonly string[];
      /** What build-grub made. */
      readonly grub?: Ref<'files'>;
    };
    /** Directories of user's definitions; empty for the built-in layout. */
    readonly definitions: readonly HostInput[];
    readonly architecture: ArchitectureName;
    readonly seed: string;
    readonly sectorSize: number;
    readonly epoch: number;
    /** systemd-boot is in the tree and goes to the ESP; false: the first UKI becomes EFI/BOOT/BOOT*.EFI. */
    readonly bootLoader: boolean;
  };
  /**
   * GRUB's core image out of the files of its package in the tree, else of the tools. Output: `files`, core.img and for PC
   * BIOS boot.img.
   */
  'build-grub': { readonly tree: Ref<'tree'>; readonly platform: 'i386-pc' | 'powerpc-ieee1275' };
  /** Picks the newest kernel's file out of `files`. Output: `file`. */
  'pick-newest': { readonly files: Ref<'files'>; readonly suffix: string };
  compress: { readonly file: Ref<'file'>; readonly compression: Compression };
}
