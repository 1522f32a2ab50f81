import { unreachable } from '../base/errors.ts';
import type { BuildableConfig } from '../config/project.ts';
import type { PlannedImage } from './image.ts';
import { excerptOf } from './excerpts.ts';
import type { HostInput, PlannedOutput, Ref } from './step.ts';
import { scriptSettings } from './scripts.ts';
import type { PlannedTree } from './tree.ts';
import type { Compression, StepInputs } from './vocabulary.ts';

/** Name of an image's files without an extension: Output=, else ImageId=, else the image's name; then the version. */
export function outputBase(config: Pick<BuildableConfig, 'Output'>): string {
  return config.Output;
}

export function compressionOf(config: BuildableConfig): Compression {
  const algorithm = config.CompressOutput;
  return algorithm === 'none' ? { algorithm } : { algorithm, level: config.CompressLevel };
}

const compressionSuffix = { none: '', zstd: '.zst', xz: '.xz', gz: '.gz' } as const;

/** The parts that make an image boot, one file for each kernel in each of them. */
interface BootFiles {
  readonly kernels: Ref<'files'>;
  readonly initrds: Ref<'files'>;
}

/** What an image's kernels boot with. */
export interface PlannedInitrds {
  /** Initrds that go before the kernel's modules: `default` was replaced by the step that makes it. */
  readonly segments: readonly (Ref<'file'> | HostInput)[];
  /** KernelInitrdModules= of the default initrd: what its profiles need besides the image's own. */
  readonly modules: readonly string[];
}

/** Plans the files that the user gets, in the order in which they are named in the summary. */
export function planOutputs(
  image: PlannedImage,
  tree: PlannedTree,
  initrds: PlannedInitrds,
): readonly PlannedOutput[] {
  const main = planMainOutput(image, tree, initrds);
  const outputs = [...main, ...scriptOutputs(image, tree)];
  if (image.wantsManifest) {
    const manifest = image.add(
      'manifest',
      { tree: tree.described, image: manifestHeader(image) },
      { label: 'list packages' },
    );
    outputs.push({ from: manifest, name: `${outputBase(image.config)}.manifest` });
  }
  return image.config.PostOutputScripts.length === 0 ? outputs : [postOutput(image, outputs)];
}

/** What scripts put into $OUTPUTDIR. */
function scriptOutputs(image: PlannedImage, { products }: PlannedTree): readonly PlannedOutput[] {
  const { PostInstallationScripts: postinst, FinalizeScripts: finalize } = image.config;
  if (products === undefined || postinst.length + finalize.length === 0) return [];
  return [{ from: products, name: spreadName(image), spread: true }];
}

/** All outputs go through the hands of the scripts: what these leave is what the user gets. */
function postOutput(image: PlannedImage, outputs: readonly PlannedOutput[]): PlannedOutput {
  const from = image.add(
    'run-postoutput-scripts',
    { outputs, ...scriptSettings(image, 'postoutput', undefined) },
    { label: 'run post-output scripts', keep: true, ...image.originOption('PostOutputScripts') },
  );
  return { from, name: spreadName(image), spread: true };
}

/** Stands for all files of scripts in records of outputs. */
function spreadName(image: PlannedImage): string {
  return `${outputBase(image.config)}.outputs`;
}

function planMainOutput(
  image: PlannedImage,
  tree: PlannedTree,
  initrds: PlannedInitrds,
): readonly PlannedOutput[] {
  const { config } = image;
  switch (config.Format) {
    case 'directory':
      return [directoryOutput(image, tree), ...directBoot(image, tree, initrds)];
    case 'tar':
      return [tarOutput(image, tree), ...directBoot(image, tree, initrds)];
    case 'cpio':
      return [cpioOutput(image, tree), ...splitKernel(image, tree)];
    case 'uki':
      return ukiOutputs(image, tree);
    case 'disk':
      return diskOutputs(image, tree, initrds);
    default:
      return unreachable(config.Format);
  }
}

function directoryOutput(image: PlannedImage, tree: PlannedTree): PlannedOutput {
  const from = image.add(
    'pack-directory',
    { tree: tree.root, epoch: image.epoch },
    { label: 'copy the tree', keep: true },
  );
  return { from, name: outputBase(image.config) };
}

function tarOutput(image: PlannedImage, tree: PlannedTree): PlannedOutput {
  const compression = compressionOf(image.config);
  const from = image.add(
    'pack-tar',
    { tree: tree.root, compression, epoch: image.epoch },
    { label: 'pack tar' },
  );
  return named(image, from, `.tar${compressionSuffix[compression.algorithm]}`);
}

function cpioOutput(image: PlannedImage, tree: PlannedTree): PlannedOutput {
  const from = planCpio(image, tree);
  return named(image, from, `.cpio${compressionSuffix[image.config.CompressOutput]}`);
}

export function planCpio(image: PlannedImage, tree: PlannedTree): Ref<'file'> {
  return packCpio(image, tree, compressionOf(image.config));
}

function packCpio(image: PlannedImage, tree: PlannedTree, compression: Compression): Ref<'file'> {
  const { epoch, rootOwned } = image;
  return image.add(
    'pack-cpio',
    { tree: tree.root, compression, epoch, ...rootOwned },
    { label: 'pack cpio' },
  );
}

/** Format=uki: the image itself is the initrd. */
function ukiOutputs(image: PlannedImage, tree: PlannedTree): readonly PlannedOutput[] {
  const kernels = planKernels(image, tree);
  const compression: Compression = { algorithm: 'zstd', level: image.config.CompressLevel };
  const archive = packCpio(image, tree, compression);
  const initrds = image.add('join-initrds', { segments: [archive], kernels }, { label: 'join initrds' });
  const ukis = planUkis(image, tree, initrds);
  const uki = image.add(
    'pick-newest',
    { files: ukis, suffix: '.efi' },
    { label: 'pick the newest kernel', variant: 'uki' },
  );
  return [named(image, uki, '.efi'), ...splitBootFiles(image, { kernels, initrds })];
}

function diskOutputs(
  image: PlannedImage,
  tree: PlannedTree,
  initrds: PlannedInitrds,
): readonly PlannedOutput[] {
  if (!image.bootable) return [compressed(image, planDisk(image, tree, {}), '.raw')];
  const boot = planBootFiles(image, tree, initrds);
  const ukis = image.hasUefi ? planUkis(image, tree, boot.initrds) : undefined;
  const platformBoot = planPlatformBoot(image, tree, boot);
  const disk = compressed(
    image,
    planDisk(image, tree, {
      ...(ukis === undefined ? {} : { ukis }),
      ...(platformBoot === undefined ? {} : { platformBoot }),
    }),
    '.raw',
  );
  const split =
    ukis !== undefined && image.config.SplitArtifacts.includes('uki')
      ? [
          named(
            image,
            image.add(
              'pick-newest',
              { files: ukis, suffix: '.efi' },
              { label: 'pick the newest kernel', variant: 'uki' },
            ),
            '.efi',
          ),
        ]
      : [];
  return [disk, ...split, ...splitBootFiles(image, boot)];
}

/** What machines without UEFI start. */
function planPlatformBoot(
  image: PlannedImage,
  tree: PlannedTree,
  { kernels, initrds }: BootFiles,
): StepInputs['build-disk']['platformBoot'] {
  const { platformLoader: loader } = image;
  if (loader === undefined) return undefined;
  const boot = { loader, kernels, initrds, commandLine: image.config.KernelCommandLine };
  if (loader === 'zipl') return boot;
  const grub = image.add(
    'build-grub',
    { tree: tree.root, platform: loader === 'grub-pc' ? 'i386-pc' : 'powerpc-ieee1275' },
    { label: 'build GRUB', ...image.originOption('BiosBootloader') },
  );
  return { ...boot, grub };
}

function planDisk(
  image: PlannedImage,
  tree: PlannedTree,
  boot: Pick<StepInputs['build-disk'], 'ukis' | 'platformBoot'>,
): Ref<'file'> {
  const { config } = image;
  const rootFileSystem =
    config.RepartDirectories.length > 0 ? {} : { rootFileSystem: planRootFileSystem(image, tree) };
  return image.add(
    'build-disk',
    {
      tree: tree.root,
      ...rootFileSystem,
      ...boot,
      definitions: config.RepartDirectories.map((path) => ({ $host: path })),
      architecture: config.Architecture,
      seed: image.seed,
      sectorSize: config.SectorSize ?? 512,
      epoch: image.epoch,
      bootLoader: image.bootLoader,
    },
    { label: 'build disk image', ...image.originOption('RepartDirectories') },
  );
}

/** A step of its own: it is made beside kernel images, and stays as it is when only these change. */
function planRootFileSystem(image: PlannedImage, tree: PlannedTree): Ref<'file'> {
  const { config, seed, epoch, bootable } = image;
  // The name that systemd-repart gives the partition.
  const label = `root-${config.Architecture}`;
  return image.add(
    'make-file-system',
    { tree: tree.root, withoutBoot: bootable, label, seed, epoch },
    { label: 'make the root file system' },
  );
}

/** Kernel and initrd beside a plain tree, so that it can be booted without a boot loader. */
function directBoot(
  image: PlannedImage,
  tree: PlannedTree,
  initrds: PlannedInitrds,
): readonly PlannedOutput[] {
  const { Bootable: bootable, SplitArtifacts: split } = image.config;
  const wanted = split.includes('kernel') || split.includes('initrd');
  return image.hasKernel && bootable !== false && wanted
    ? splitBootFiles(image, planBootFiles(image, tree, initrds))
    : [];
}

function splitKernel(image: PlannedImage, tree: PlannedTree): readonly PlannedOutput[] {
  return image.hasKernel && image.config.SplitArtifacts.includes('kernel')
    ? [kernelOutput(image, planKernels(image, tree))]
    : [];
}

function planBootFiles(image: PlannedImage, tree: PlannedTree, initrds: PlannedInitrds): BootFiles {
  const { config } = image;
  const kernels = planKernels(image, tree);
  const perKernel = config.KernelModulesInitrd
    ? {
        perKernel: image.add(
          'pack-kernel-modules',
          {
            tree: excerptOf(tree.root, ['kernel']),
            modules: modulesOfInitrd(config.KernelInitrdModules, initrds.modules),
            compression: { algorithm: 'zstd', level: config.CompressLevel },
            epoch: image.epoch,
          },
          { label: 'pack kernel modules', ...image.originOption('KernelInitrdModules') },
        ),
      }
    : {};
  const joined = image.add(
    'join-initrds',
    { segments: initrds.segments, kernels, ...perKernel },
    { label: 'join initrds' },
  );
  return { kernels, initrds: joined };
}

/** The image's own patterns, which begin with the generic ones where they name no module to have, and then the profiles'. */
function modulesOfInitrd(own: readonly string[], profiles: readonly string[]): readonly string[] {
  if (profiles.length === 0) return own;
  const begins = own.every((pattern) => pattern.startsWith('-')) ? ['default'] : [];
  return [...begins, ...own, ...profiles];
}

function planKernels(image: PlannedImage, tree: PlannedTree): Ref<'files'> {
  return image.add(
    'extract-kernels',
    { tree: excerptOf(tree.root, ['kernel']) },
    { label: 'extract kernels', ...image.originOption('Packages') },
  );
}

function planUkis(image: PlannedImage, tree: PlannedTree, initrds: Ref<'files'>): Ref<'files'> {
  const { config } = image;
  return image.add(
    'build-uki',
    {
      tree: excerptOf(tree.root, ['kernel', 'boot']),
      initrds,
      commandLine: config.KernelCommandLine,
      architecture: config.Architecture,
      epoch: image.epoch,
    },
    { label: 'build unified kernel images' },
  );
}

function splitBootFiles(image: PlannedImage, boot: BootFiles): readonly PlannedOutput[] {
  const wanted = image.config.SplitArtifacts;
  const outputs: PlannedOutput[] = [];
  if (wanted.includes('kernel')) outputs.push(kernelOutput(image, boot.kernels));
  if (wanted.includes('initrd')) {
    const initrd = image.add(
      'pick-newest',
      { files: boot.initrds, suffix: '.initrd' },
      { label: 'pick the newest initrd', variant: 'initrd' },
    );
    outputs.push({ from: initrd, name: `${outputBase(image.config)}.initrd` });
  }
  return outputs;
}

function kernelOutput(image: PlannedImage, kernels: Ref<'files'>): PlannedOutput {
  const kernel = image.add(
    'pick-newest',
    { files: kernels, suffix: '.vmlinuz' },
    { label: 'pick the newest kernel', variant: 'kernel' },
  );
  return { from: kernel, name: `${outputBase(image.config)}.vmlinuz` };
}

function compressed(image: PlannedImage, file: Ref<'file'>, extension: string): PlannedOutput {
  const compression = compressionOf(image.config);
  if (compression.algorithm === 'none') return named(image, file, extension);
  const from = image.add('compress', { file, compression }, { label: 'compress the image' });
  return named(image, from, `${extension}${compressionSuffix[compression.algorithm]}`);
}

/** The main file, with mkosi's link from the plain name. */
function named(image: PlannedImage, from: Ref, extension: string): PlannedOutput {
  const base = outputBase(image.config);
  const isMain = !(image.config.Format === 'disk' && extension === '.efi');
  return { from, name: base + extension, ...(isMain ? { link: base } : {}) };
}

function manifestHeader(image: PlannedImage): Readonly<Record<string, string>> {
  const { config } = image;
  return {
    name: config.ImageId ?? config.Output,
    distribution: config.Distribution,
    architecture: config.Architecture,
    release: config.Release,
    output_format: config.Format,
    ...(config.ImageVersion === undefined ? {} : { version: config.ImageVersion }),
  };
}
