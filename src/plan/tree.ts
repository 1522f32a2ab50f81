import type { Origin } from '../base/diagnostic.ts';
import { formatImageSources } from '../distro/apt-sources.ts';
import type { PlannedImage } from './image.ts';
import { packageRequest } from './packages.ts';
import { planScripts, scriptSettings } from './scripts.ts';
import type { Ref, StepKind } from './step.ts';
import type { StepInputs } from './vocabulary.ts';

/** The finished root file system of an image, and what was known on the way. */
export interface PlannedTree {
  /** The exact packages, as resolved. */
  readonly packages: Ref<'file'>;
  /** With the package database still there, for the manifest. */
  readonly described: Ref<'tree'>;
  readonly root: Ref<'tree'>;
}

/** Steps that change one tree, one after the other. */
interface Chain {
  current: Ref<'tree'>;
  change<K extends TreeChange>(kind: K, inputs: Omit<StepInputs[K], 'base'>, options: ChangeOptions): void;
}
type TreeChange = {
  [K in StepKind]: 'base' extends keyof StepInputs[K] ? K : never;
}[StepKind];
interface ChangeOptions {
  readonly label: string;
  readonly keep?: boolean;
  readonly origin?: Origin;
  readonly variant?: string;
}

/** Plans everything between names of packages and the tree that is packed, in mkosi's order (reference mkosi.md 4.2). */
export function planTree(image: PlannedImage): PlannedTree {
  const packages = image.add(
    'resolve-packages',
    {
      repositories: image.repositories,
      request: packageRequest(image, image.config.Packages),
      architecture: image.config.Architecture,
    },
    { label: 'resolve packages', ...image.originOption('Packages') },
  );
  const chain = startChain(image, planInstall(image, packages));
  planAptSources(image, chain);
  planScripts(image, chain, 'prepare');
  planKernelFiles(image, chain);
  planBuild(image, chain, packages);
  planConfiguration(image, chain);
  const described = planPackageRemoval(image, chain);
  planRemains(image, chain);
  return { packages, described, root: chain.current };
}

function startChain(image: PlannedImage, start: Ref<'tree'>): Chain {
  const chain: Chain = {
    current: start,
    change: (kind, inputs, options) => {
      // Omit over a generic member cannot be put together again by the compiler.
      const complete = { ...inputs, base: chain.current } as unknown as StepInputs[typeof kind];
      chain.current = image.add(kind, complete, { keep: false, ...options });
    },
  };
  return chain;
}

function planInstall(image: PlannedImage, resolved: Ref<'file'>): Ref<'tree'> {
  const { config } = image;
  const skeleton =
    config.SkeletonTrees.length === 0
      ? {}
      : {
          base: image.add(
            'copy-trees',
            { trees: image.treeMappings('SkeletonTrees') },
            {
              label: 'copy skeleton trees',
              variant: 'skeleton',
              keep: true,
              ...image.originOption('SkeletonTrees'),
            },
          ),
        };
  return image.add(
    'install-packages',
    {
      ...skeleton,
      resolved,
      architecture: config.Architecture,
      documentation: config.WithDocs,
      bootable: config.Bootable !== false,
      environment: image.environment,
    },
    { label: 'install packages', keep: true, ...image.originOption('Packages') },
  );
}

/** A step of its own, so that images with the same packages share their installation wherever these came from. */
function planAptSources(image: PlannedImage, chain: Chain): void {
  // Nobody installs packages inside an initrd.
  if (image.isInitrd) return;
  const text = formatImageSources(image.repositories.repositories);
  chain.change('apt-sources', { text }, { label: 'write package sources' });
}

/** Module and hardware indexes: long to make, and seldom changed by what follows, so they get a layer of their own. */
function planKernelFiles(image: PlannedImage, chain: Chain): void {
  if (image.hasKernel) {
    chain.change('place-kernels', {}, { label: 'place kernels' });
    chain.change('depmod', {}, { label: 'index kernel modules', keep: true });
  }
  // An initrd has no use for the names of hardware, and its hardware database would be a third of it.
  if (!image.isInitrd) chain.change('hwdb', {}, { label: 'compile the hardware database', keep: true });
}

function planBuild(image: PlannedImage, chain: Chain, packages: Ref<'file'>): void {
  const { config } = image;
  if (config.BuildScripts.length > 0) {
    const sources = planBuildTree(image, chain.current, packages);
    const built = image.add(
      'run-build-scripts',
      { base: sources, ...scriptSettings(image, 'build') },
      { label: 'run build scripts', keep: true, ...image.originOption('BuildScripts') },
    );
    chain.change('merge-tree', { source: built }, { label: 'install what was built' });
  }
  if (config.ExtraTrees.length > 0) {
    const origin = image.originOption('ExtraTrees');
    chain.change(
      'copy-trees',
      { trees: image.treeMappings('ExtraTrees') },
      { label: 'copy extra trees', variant: 'extra', ...origin },
    );
  }
  planScripts(image, chain, 'postinst');
}

/** The tree that build scripts see: the image with BuildPackages= on top, thrown away afterwards. */
function planBuildTree(image: PlannedImage, base: Ref<'tree'>, packages: Ref<'file'>): Ref<'tree'> {
  const { config } = image;
  if (config.BuildPackages.length === 0) return base;
  const resolved = image.add(
    'resolve-packages',
    {
      repositories: image.repositories,
      request: { ...packageRequest(image, config.BuildPackages), installed: packages },
      architecture: config.Architecture,
    },
    { label: 'resolve build packages', variant: 'build', ...image.originOption('BuildPackages') },
  );
  return image.add(
    'install-packages',
    {
      base,
      resolved,
      architecture: config.Architecture,
      documentation: config.WithDocs,
      bootable: config.Bootable !== false,
      environment: image.environment,
    },
    { label: 'install build packages', variant: 'build', keep: true, ...image.originOption('BuildPackages') },
  );
}

function planConfiguration(image: PlannedImage, chain: Chain): void {
  const { config } = image;
  if (image.hasKernel && image.mayChangeModules) {
    chain.change('place-kernels', {}, { label: 'place added kernels', variant: 'added' });
    chain.change('depmod', {}, { label: 'index added kernel modules', variant: 'added' });
  }
  if (config.Autologin) {
    const origin = image.originOption('Autologin');
    chain.change(
      'autologin',
      { architecture: config.Architecture },
      { label: 'log in automatically', ...origin },
    );
  }
  chain.change('identity', image.identity, { label: 'write identity' });
  // The kernel starts /init of a cpio archive, whether the system there goes on to another root or stays.
  if (config.MakeInitrd || config.Format === 'cpio' || config.Format === 'uki') {
    const options = { label: 'make it an initrd', ...image.originOption('MakeInitrd') };
    chain.change('make-initrd', { isInitrd: config.MakeInitrd }, options);
  }
  if (image.bootLoader) {
    chain.change(
      'install-boot-loader',
      { architecture: config.Architecture },
      { label: 'install the boot loader' },
    );
  }
  chain.change('sysusers', { epoch: image.epoch }, { label: 'create system users' });
  chain.change('tmpfiles', {}, { label: 'create volatile files' });
  const hasFirstboot = Object.keys(image.firstboot).length > 0;
  chain.change('presets', {}, { label: 'apply unit presets', keep: !hasFirstboot });
  if (hasFirstboot) {
    chain.change('firstboot', image.firstboot, { label: 'apply first-boot settings', keep: true });
  }
}

/** Returns the tree that still knows its packages. */
function planPackageRemoval(image: PlannedImage, chain: Chain): Ref<'tree'> {
  const { config } = image;
  if (config.RemovePackages.length > 0) {
    const options = { keep: true, ...image.originOption('RemovePackages') };
    chain.change(
      'remove-packages',
      { names: config.RemovePackages },
      { label: 'remove packages', ...options },
    );
  }
  return chain.current;
}

function planRemains(image: PlannedImage, chain: Chain): void {
  const { config } = image;
  if (image.cleansMetadata) chain.change('clean-package-metadata', {}, { label: 'remove package metadata' });
  if (config.RemoveFiles.length > 0) {
    const origin = image.originOption('RemoveFiles');
    chain.change('remove-files', { patterns: config.RemoveFiles }, { label: 'remove files', ...origin });
  }
  planScripts(image, chain, 'finalize');
  chain.change('clean-traces', {}, { label: 'remove traces of the build', keep: true });
}

export type { Chain };
