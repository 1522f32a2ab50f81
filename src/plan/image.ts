import type { HostPath, TreePath } from '../base/brand.ts';
import { treePath } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import { digestJson } from '../base/canonical.ts';
import type { Origin } from '../base/diagnostic.ts';
import { buildable } from '../config/buildable.ts';
import type { BuildableConfig, ImageConfig, ResolvedImage } from '../config/project.ts';
import { hasUefi } from '../distro/architectures/index.ts';
import type { RepositorySet } from '../distro/repositories.ts';
import type { ImagePlanner } from './builder.ts';
import type { MadeOutput, OtherImages } from './crossing.ts';
import type { SecretInput, TreeMapping } from './step.ts';
import type { HostPackages, ScriptSettings, StepInputs } from './vocabulary.ts';

/**
 * Newest modification time in an image when nothing else is said: 2026-01-01. Files that packages brought keep their
 * own, older times; a fixed date keeps two builds of the same packages alike.
 */
export const defaultEpoch = 1767225600;

/** What planning needs to know about the world; collected before, so that planning itself touches nothing. */
export interface PlanFacts {
  readonly repositoriesOf: (config: BuildableConfig) => RepositorySet;
  /**
   * Build initrds (MakeInitrd=yes) out of the packages of a running system, which is the host's for `mkimg initrd`. Other
   * images of the plan, and the tools tree, come from the repositories as always.
   */
  readonly hostPackages?: HostPackages;
  /** Keyed hash of a secret; see engine/key.ts. */
  readonly secretDigest: (value: string) => string;
  /** Random ids, made once for a run; for settings that say `random`. */
  readonly randomUuid: () => string;
  /** Words after `--` of `mkimg build`. */
  readonly buildArguments: readonly string[];
  /** Directories that builds write into: they are left out of the digest of build sources. */
  readonly volatileDirectories: readonly HostPath[];
  readonly configJson: (image: ResolvedImage) => string;
}

/** An image with everything that its steps are decided by. */
export interface PlannedImage extends ImagePlanner {
  readonly config: BuildableConfig;
  readonly repositories: RepositorySet;
  /** Where its packages come from before the repositories. */
  readonly hostPackages: HostPackages | undefined;
  /** Environment=, EnvironmentFiles= and SOURCE_DATE_EPOCH, for scripts and package managers. */
  readonly environment: Readonly<Record<string, string>>;
  readonly epoch: number;
  readonly isInitrd: boolean;
  /** RootOwned=, to spread into the inputs of steps. */
  readonly rootOwned: { readonly rootOwned?: true };
  /** A kernel package is asked for. */
  readonly hasKernel: boolean;
  /** Something after package installation could bring modules. */
  readonly mayChangeModules: boolean;
  readonly bootable: boolean;
  /** systemd-boot goes into the image. */
  readonly bootLoader: boolean;
  /** Firmware of the architecture can be UEFI. */
  readonly hasUefi: boolean;
  /** What starts a disk image on machines without UEFI. */
  readonly platformLoader: PlatformLoader | undefined;
  readonly wantsManifest: boolean;
  readonly cleansMetadata: boolean;
  /** UUID from which the ids of partitions and file systems derive. */
  readonly seed: string;
  readonly identity: Omit<StepInputs['identity'], 'base'>;
  readonly firstboot: Omit<StepInputs['firstboot'], 'base'>;
  readonly buildArguments: readonly string[];
  readonly buildSources: ScriptSettings['sources'];
  readonly configJson: string;
  /** Another one for each run. */
  readonly runId: string;
  /** What it takes of other images. */
  readonly others: OtherImages;
  treeMappings(setting: 'SkeletonTrees' | 'ExtraTrees'): readonly TreeMapping[];
  /** `{ origin }` of a setting, to spread into step options; empty for defaults. */
  originOption(setting: keyof ImageConfig): { readonly origin?: Origin };
}

/** What an image is planned in. */
export interface ImageWorld {
  readonly facts: PlanFacts;
  /** Absent for images that mkimg brings along. */
  readonly others?: OtherImages;
}

/** Decides what an image is and needs; everything that later planning asks is answered here, once. */
export function describeImage(
  planner: ImagePlanner,
  image: ResolvedImage,
  { facts, others = noOtherImages }: ImageWorld,
): PlannedImage {
  const config = buildable(image.config);
  const hasKernel = asksForKernel(config);
  const bootable = isBootable(config, hasKernel);
  const epoch = config.SourceDateEpoch ?? defaultEpoch;
  return {
    ...planner,
    config,
    environment: { ...image.environment, SOURCE_DATE_EPOCH: String(epoch) },
    repositories: facts.repositoriesOf(config),
    hostPackages: config.MakeInitrd ? facts.hostPackages : undefined,
    epoch,
    isInitrd: config.MakeInitrd,
    rootOwned: config.RootOwned ? { rootOwned: true } : {},
    hasKernel: hasKernel || (config.Bootable === true && !config.MakeInitrd),
    mayChangeModules:
      config.ExtraTrees.length + config.BuildScripts.length + config.PostInstallationScripts.length > 0,
    bootable,
    bootLoader:
      bootable &&
      config.Format === 'disk' &&
      config.Bootloader === 'systemd-boot' &&
      hasUefi(config.Architecture),
    hasUefi: hasUefi(config.Architecture),
    platformLoader: bootable ? platformLoader(config) : undefined,
    wantsManifest: config.ManifestFormat.includes('json'),
    cleansMetadata: cleansMetadata(config),
    seed: seedOf(config, facts),
    identity: identityInputs(config, facts),
    firstboot: firstbootInputs(image, facts),
    buildArguments: facts.buildArguments,
    buildSources: config.BuildSources.map(({ source, target }) => ({
      source: { $host: source, exclude: facts.volatileDirectories },
      target,
    })),
    configJson: facts.configJson(image),
    runId: facts.randomUuid(),
    others,
    treeMappings: (setting) =>
      config[setting].map((mapping) => treeMapping(mapping, others.outputAt(mapping.source, setting))),
    originOption: (setting) => originOption(image, setting),
  };
}

/** Images that mkimg brings along stand for themselves. */
const noOtherImages: OtherImages = {
  outputAt: () => undefined,
  packages: () => [],
  fault: ({ message }) => {
    throw new Error(`internal: ${message}`);
  },
};

/** A tree of the user's, or what another image makes of that name: taken as mkosi takes the file itself. */
function treeMapping(
  { source, target }: { readonly source: HostPath; readonly target: TreePath },
  made: MadeOutput | undefined,
): TreeMapping {
  if (made === undefined) return { source: { $host: source }, target };
  const { tree, from, isDirectory, inside } = made;
  if (tree !== undefined && (isDirectory || target === '')) {
    return { tree, from: inside, target, ownership: isDirectory ? 'root' : 'kept' };
  }
  if (from.type !== 'file') throw new Error(`internal: ${made.name} is neither a file nor a tree`);
  return { source: from, target: target === '' ? treePath(made.name) : target };
}

/** Debian's kernel images: linux-image-amd64, linux-image-6.12.1-cloud-amd64, ... but not their debug files. */
function asksForKernel(config: BuildableConfig): boolean {
  return config.Packages.some((name) => /^linux-image-(?!.*-dbg\b)/.test(name));
}

function isBootable(config: BuildableConfig, hasKernel: boolean): boolean {
  if (config.MakeInitrd) return false;
  const bootFormat = config.Format === 'disk' || config.Format === 'uki';
  return config.Bootable === 'auto' ? hasKernel && bootFormat : config.Bootable;
}

type PlatformLoader = NonNullable<StepInputs['build-disk']['platformBoot']>['loader'];

/** Architectures without UEFI have one way to boot each; PCs have both where BiosBootloader= asks for it. */
function platformLoader(config: BuildableConfig): PlatformLoader | undefined {
  switch (config.Architecture) {
    case 's390x':
      return config.Bootloader === 'none' ? undefined : 'zipl';
    case 'ppc64-le':
      return config.Bootloader === 'none' ? undefined : 'grub-ieee1275';
    case 'x86':
    case 'x86-64':
      return config.BiosBootloader === 'grub' ? 'grub-pc' : undefined;
    default:
      return undefined;
  }
}

/** `auto` keeps the package manager's records where it is in the image, and in plain trees (mkosi's rule). */
function cleansMetadata(config: BuildableConfig): boolean {
  if (config.CleanPackageMetadata !== 'auto') return config.CleanPackageMetadata;
  const plain = config.Format === 'directory' || config.Format === 'tar';
  return !plain && !config.Packages.includes('apt');
}

/** Without Seed=, one that is made from what the image is called: the same image twice has the same ids. */
function seedOf(config: BuildableConfig, facts: PlanFacts): string {
  if (config.Seed === 'random') return facts.randomUuid();
  return config.Seed ?? uuidOf([config.Output, config.Distribution, config.Release, config.Architecture]);
}

/** A version 8 UUID (RFC 9562, for vendors' own derivations) from a digest. */
function uuidOf(value: Json): string {
  const hex = digestJson(value);
  const variant = '89ab'.charAt(parseInt(hex.charAt(16), 16) % 4);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    variant + hex.slice(17, 20),
    hex.slice(20, 32),
  ].join('-');
}

function identityInputs(config: BuildableConfig, facts: PlanFacts): Omit<StepInputs['identity'], 'base'> {
  const machineId = config.MachineId === 'random' ? facts.randomUuid() : config.MachineId;
  return {
    ...(config.ImageId === undefined ? {} : { imageId: config.ImageId }),
    ...(config.ImageVersion === undefined ? {} : { imageVersion: config.ImageVersion }),
    ...(config.Hostname === undefined ? {} : { hostname: config.Hostname }),
    machineId: machineId.replaceAll('-', ''),
  };
}

function firstbootInputs(image: ResolvedImage, facts: PlanFacts): Omit<StepInputs['firstboot'], 'base'> {
  const { config } = image;
  return {
    ...(config.Locale === undefined ? {} : { locale: config.Locale }),
    ...(config.LocaleMessages === undefined ? {} : { localeMessages: config.LocaleMessages }),
    ...(config.Keymap === undefined ? {} : { keymap: config.Keymap }),
    ...(config.Timezone === undefined ? {} : { timezone: config.Timezone }),
    ...(config.Hostname === undefined ? {} : { hostname: config.Hostname }),
    ...(config.RootShell === undefined ? {} : { rootShell: config.RootShell }),
    ...rootPassword(image, facts),
  };
}

function rootPassword(image: ResolvedImage, facts: PlanFacts): Pick<StepInputs['firstboot'], 'rootPassword'> {
  const password = image.config.RootPassword;
  if (password === undefined) return {};
  const digest = facts.secretDigest(password.value);
  const value: SecretInput = { $secret: rootPasswordSecret(digest), digest };
  return { rootPassword: { value, hashed: password.hashed } };
}

/** Name under which the engine finds a root password, given its keyed hash. */
export function rootPasswordSecret(digest: string): string {
  return `RootPassword/${digest}`;
}

function originOption(image: ResolvedImage, setting: keyof ImageConfig): { readonly origin?: Origin } {
  const origin = image.originOf(setting);
  return origin.kind === 'default' ? {} : { origin };
}
