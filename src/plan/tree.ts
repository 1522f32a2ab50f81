import type { Origin } from '../base/diagnostic.ts';
import { formatImageSources } from '../distro/apt-sources.ts';
import type { PlannedImage } from './image.ts';
import type { Installation } from './installation.ts';
import { planBuildTree, planInstallation, planVolatilePackages } from './installation.ts';
import type { PackageScene } from './packages.ts';
import { planScripts, scriptSettings } from './scripts.ts';
import type { Ref, StepKind } from './step.ts';
import { productsOf } from './step.ts';
import type { StepInputs } from './vocabulary.ts';

/** The finished root file system of an image, and what was known on the way. */
export interface PlannedTree {
  /** Where the packages are that prepare and build scripts made; absent without such scripts. */
  readonly packages?: Ref<'products'>;
  /** All that scripts left beside the tree; absent without scripts. */
  readonly products?: Ref<'products'>;
  /** With the package database still there, for the manifest. */
  readonly described: Ref<'tree'>;
  readonly root: Ref<'tree'>;
}

/** Steps that change one tree, one after the other. */
interface Chain {
  current: Ref<'tree'>;
  /** What the last scripts left, and those before them. */
  products: Ref<'products'> | undefined;
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
  const installation = planInstallation(image);
  const chain = startChain(image, installation.tree);
  planAptSources(image, chain);
  planScripts(image, chain, 'prepare');
  planKernelFiles(image, chain, installation);
  const packages = planBuild(image, chain, installation);
  planConfiguration(image, chain);
  const described = planPackageRemoval(image, chain);
  planRemains(image, chain);
  return {
    described,
    root: chain.current,
    ...(packages === undefined ? {} : { packages }),
    ...(chain.products === undefined ? {} : { products: chain.products }),
  };
}

function startChain(image: PlannedImage, start: Ref<'tree'>): Chain {
  const chain: Chain = {
    current: start,
    products: undefined,
    change: (kind, inputs, options) => {
      // Omit over a generic member cannot be put together again by the compiler.
      const complete = { ...inputs, base: chain.current } as unknown as StepInputs[typeof kind];
      chain.current = image.add(kind, complete, { keep: false, ...options });
    },
  };
  return chain;
}

/** A step of its own, so that images with the same packages share their installation wherever these came from. */
function planAptSources(image: PlannedImage, chain: Chain): void {
  // Nobody installs packages inside an initrd.
  if (image.isInitrd) return;
  const text = formatImageSources(image.repositories.repositories);
  chain.change('apt-sources', { text }, { label: 'write package sources' });
}

/** Module and hardware indexes: long to make, and seldom changed by what follows, so they get a layer of their own. */
function planKernelFiles(image: PlannedImage, chain: Chain, { extracted }: Installation): void {
  if (image.hasKernel) {
    chain.change('place-kernels', {}, { label: 'place kernels' });
    const indexed =
      extracted === undefined
        ? undefined
        : image.add('index-modules', { extracted }, { label: 'index modules of packages' });
    chain.change('depmod', indexed === undefined ? {} : { indexed: { ...indexed, unkeyed: true } }, {
      label: 'index kernel modules',
      keep: true,
    });
  }
  // An initrd has no use for the names of hardware, and its hardware database would be a third of it.
  if (!image.isInitrd) chain.change('hwdb', {}, { label: 'compile the hardware database', keep: true });
}

/** Returns the products that hold the packages which scripts made, if any could. */
function planBuild(image: PlannedImage, chain: Chain, { scene }: Installation): Ref<'products'> | undefined {
  const { config } = image;
  const built = config.BuildScripts.length === 0 ? undefined : planBuildScripts(image, chain, scene);
  const packages = chain.products;
  chain.current = planVolatilePackages(image, chain.current, { scene, products: packages });
  if (built !== undefined) chain.change('merge-tree', { source: built }, { label: 'install what was built' });
  if (config.ExtraTrees.length > 0) {
    const origin = image.originOption('ExtraTrees');
    chain.change(
      'copy-trees',
      { trees: image.treeMappings('ExtraTrees') },
      { label: 'copy extra trees', variant: 'extra', ...origin },
    );
  }
  planScripts(image, chain, 'postinst');
  return packages;
}

function planBuildScripts(image: PlannedImage, chain: Chain, scene: PackageScene): Ref<'tree'> {
  const built = image.add(
    'run-build-scripts',
    { base: planBuildTree(image, chain.current, scene), ...scriptSettings(image, 'build', chain.products) },
    { label: 'run build scripts', keep: true, ...image.originOption('BuildScripts') },
  );
  chain.products = productsOf(built);
  return built;
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
  chain.change('tmpfiles', image.rootOwned, { label: 'create volatile files' });
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
      { names: config.RemovePackages, architecture: config.Architecture },
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
  if (config.RemoveUnusedLibraries.length > 0) {
    const options = { label: 'remove unused libraries', ...image.originOption('RemoveUnusedLibraries') };
    chain.change('remove-unused-libraries', { patterns: config.RemoveUnusedLibraries }, options);
  }
  planScripts(image, chain, 'finalize');
  planDlopenCheck(image, chain);
  chain.change('clean-traces', {}, { label: 'remove traces of the build', keep: true });
}

/** In an initrd, nobody is there yet who could install what is missing; of other images, somebody has to ask for it. */
function planDlopenCheck(image: PlannedImage, chain: Chain): void {
  const { config, hostPackages } = image;
  const policy = config.DlopenPolicy;
  if (!image.isInitrd && Object.keys(policy).length === 0) return;
  chain.change(
    'check-dlopens',
    { policy, ...(hostPackages === undefined ? {} : { host: { $unkeyed: hostPackages.root } }) },
    { label: 'look for missing libraries', ...image.originOption('DlopenPolicy') },
  );
}

export type { Chain };
