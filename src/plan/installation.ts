import { treePath } from '../base/brand.ts';
import type { PlannedImage } from './image.ts';
import type { PackageScene } from './packages.ts';
import { packageDirectories, packageRequest, packageSources } from './packages.ts';
import type { Ref, TreeMapping } from './step.ts';
import type { StepInputs } from './vocabulary.ts';

/** An image's tree with its packages. */
export interface Installation {
  readonly tree: Ref<'tree'>;
  /** BaseTrees=, where there are any. */
  readonly base: Ref<'tree'> | undefined;
  /** What further packages are resolved on top of. */
  readonly scene: PackageScene;
  /** The packages of a new tree, extracted. */
  readonly extracted?: Ref<'file'>;
}

/** Plans the beginning of a tree: base trees, skeleton trees, packages. On base trees, only what is named is installed. */
export function planInstallation(image: PlannedImage): Installation {
  const { config } = image;
  const base = planBaseTrees(image);
  const start = planSkeleton(image, base);
  const scene: PackageScene = base === undefined ? {} : { installedIn: base };
  if (base !== undefined && config.Packages.length === 0) return { tree: start ?? base, base, scene };
  const packages = planPackages(image, {
    ...{ names: config.Packages, scene, what: 'packages' },
    ...(start === undefined ? {} : { tree: start }),
  });
  const { tree, resolved, extracted } = packages;
  return {
    ...{ tree, base, scene: { ...scene, installed: resolved } },
    ...(extracted === undefined ? {} : { extracted }),
  };
}

/** Another image's tree is built on as it is: its layers are shared. All else is copied, in the order of the setting. */
function planBaseTrees(image: PlannedImage): Ref<'tree'> | undefined {
  const mappings = image.config.BaseTrees.map((path): TreeMapping => {
    const made = image.others.outputAt(path, 'BaseTrees');
    if (made?.tree === undefined) return { source: { $host: path }, target: treePath(''), ownership: 'kept' };
    return { tree: made.tree, from: made.inside, target: treePath(''), ownership: 'kept' };
  });
  const [first, ...others] = mappings;
  if (first === undefined) return undefined;
  const whole = 'tree' in first && first.from === '' ? first.tree : undefined;
  const copied = whole === undefined ? mappings : others;
  if (whole !== undefined && copied.length === 0) return whole;
  return image.add(
    'copy-trees',
    { ...(whole === undefined ? {} : { base: whole }), trees: copied },
    { label: 'copy base trees', variant: 'base', keep: true, ...image.originOption('BaseTrees') },
  );
}

function planSkeleton(image: PlannedImage, base: Ref<'tree'> | undefined): Ref<'tree'> | undefined {
  if (image.config.SkeletonTrees.length === 0) return base;
  return image.add(
    'copy-trees',
    { ...(base === undefined ? {} : { base }), trees: image.treeMappings('SkeletonTrees') },
    { label: 'copy skeleton trees', variant: 'skeleton', keep: true, ...image.originOption('SkeletonTrees') },
  );
}

interface PackageStep {
  /** Absent: a new tree. */
  readonly tree?: Ref<'tree'>;
  readonly names: readonly string[];
  readonly scene: PackageScene;
  readonly what: 'packages' | 'build packages' | 'volatile packages';
}

const packageSettings = {
  packages: { setting: 'Packages', variant: {} },
  'build packages': { setting: 'BuildPackages', variant: { variant: 'build' } },
  'volatile packages': { setting: 'VolatilePackages', variant: { variant: 'volatile' } },
} as const;

interface PlannedPackages {
  readonly tree: Ref<'tree'>;
  readonly resolved: Ref<'file'>;
  readonly extracted?: Ref<'file'>;
}

function planPackages(image: PlannedImage, { tree: base, names, scene, what }: PackageStep): PlannedPackages {
  const { config } = image;
  const { setting, variant } = packageSettings[what];
  const origin = image.originOption(setting);
  const request = packageRequest(image, names, scene);
  const sources = packageSources(request);
  const question = {
    ...{ repositories: image.repositories, request, architecture: config.Architecture },
    ...(what === 'packages' ? hostOption(image) : {}),
  };
  const named = image.add('resolve-packages', question, { label: `resolve ${what}`, ...variant, ...origin });
  const resolved =
    what === 'packages' ? planDlopens(image, named, { ...question, packages: sources }) : named;
  const common = {
    resolved,
    architecture: config.Architecture,
    documentation: config.WithDocs,
    ...(sources.length === 0 ? {} : { packages: sources }),
  };
  const setUp = { bootable: config.Bootable !== false, environment: image.environment };
  const start = base === undefined ? newTree(image, { common, setUp }) : { inputs: { base } };
  const tree = image.add(
    'install-packages',
    { ...common, ...setUp, ...start.inputs },
    // What takes a moment is kept together with what follows.
    {
      ...{ label: `install ${what}`, keep: base !== undefined || !config.SkipKnownScripts },
      ...{ ...variant, ...origin },
    },
  );
  return { tree, resolved, ...('extracted' in start ? { extracted: start.extracted } : {}) };
}

interface NewTree {
  readonly common: Omit<StepInputs['unpack-packages'], 'base'>;
  readonly setUp: Pick<StepInputs['install-packages'], 'bootable' | 'environment'>;
}

interface UnpackedTree {
  /** What install-packages sets up in it. */
  readonly inputs: Pick<StepInputs['install-packages'], 'base' | 'skipKnownScripts'>;
  readonly extracted?: Ref<'file'>;
}

function newTree(image: PlannedImage, wish: NewTree): UnpackedTree {
  const { config } = image;
  if (!config.SkipKnownScripts) return planNewTree(image, wish);
  // Set up in a moment: no layer is worth its while.
  const inputs = { ...wish.common, ...leaveOutOption(config) };
  const options = { label: 'unpack packages', keep: true, ...image.originOption('Packages') };
  return { inputs: { base: image.add('unpack-packages', inputs, options), skipKnownScripts: true } };
}

/** Files that are removed in the end need not be unpacked, where no script runs that could look for them. */
function leaveOutOption(config: PlannedImage['config']): Pick<StepInputs['unpack-packages'], 'leaveOut'> {
  const { PrepareScripts, BuildScripts, PostInstallationScripts, RemoveFiles } = config;
  const mayLook = PrepareScripts.length + BuildScripts.length + PostInstallationScripts.length > 0;
  return mayLook ? {} : { leaveOut: RemoveFiles };
}

/**
 * A new tree of unpacked packages, for install-packages to set up. Its base set is set up before: it stays the same whatever
 * else is asked for, and takes half of the time.
 */
function planNewTree(image: PlannedImage, { common, setUp }: NewTree): UnpackedTree {
  const origin = image.originOption('Packages');
  const { documentation, ...ofPackages } = common;
  const extracted = image.add('extract-packages', ofPackages, { label: 'extract packages', ...origin });
  const resolved = image.add('select-base', { resolved: common.resolved }, { label: 'select the base set' });
  const ofBase = { ...common, resolved };
  const unpacked = image.add('unpack-packages', ofBase, {
    ...{ label: 'unpack the base set', variant: 'base', keep: true },
    ...origin,
  });
  const base = image.add(
    'install-packages',
    { ...ofBase, ...setUp, base: unpacked, triggersLater: true },
    { label: 'install the base set', variant: 'base', keep: true, ...origin },
  );
  const tree = image.add(
    'unpack-packages',
    // What it adds to the list of packages is only that the work is done.
    { ...ofPackages, documentation, base, extracted: { ...extracted, unkeyed: true } },
    { label: 'unpack packages', keep: true, ...origin },
  );
  return { inputs: { base: tree }, extracted };
}

/** On top of packages that are there, only repositories can tell what to add. */
function hostOption({ hostPackages, config }: PlannedImage): Pick<StepInputs['resolve-packages'], 'host'> {
  return hostPackages === undefined || config.BaseTrees.length > 0 ? {} : { host: hostPackages };
}

/** Libraries that programs open without depending on their packages, where the policy adds these. */
function planDlopens(
  image: PlannedImage,
  resolved: Ref<'file'>,
  { packages, ...question }: Omit<StepInputs['add-dlopens'], 'resolved' | 'policy'>,
): Ref<'file'> {
  const policy = image.config.DlopenPolicy;
  if (!Object.values(policy).includes('add')) return resolved;
  return image.add(
    'add-dlopens',
    {
      ...question,
      resolved,
      policy,
      ...(packages?.length === 0 || packages === undefined ? {} : { packages }),
    },
    { label: 'resolve libraries', ...image.originOption('DlopenPolicy') },
  );
}

/** The tree that build scripts see: the image with BuildPackages= on top, thrown away afterwards. */
export function planBuildTree(image: PlannedImage, tree: Ref<'tree'>, scene: PackageScene): Ref<'tree'> {
  const names = image.config.BuildPackages;
  return names.length === 0 ? tree : planPackages(image, { tree, names, scene, what: 'build packages' }).tree;
}

/** The tree with VolatilePackages= on top, for which the packages that the image's own scripts made are there as well. */
export function planVolatilePackages(
  image: PlannedImage,
  tree: Ref<'tree'>,
  { scene, products }: { readonly scene: PackageScene; readonly products: Ref<'products'> | undefined },
): Ref<'tree'> {
  const names = image.config.VolatilePackages;
  if (names.length === 0) return tree;
  const more = [
    ...packageDirectories(image, 'VolatilePackageDirectories'),
    ...(products === undefined ? [] : [{ products }]),
  ];
  return planPackages(image, { tree, names, scene: { ...scene, more }, what: 'volatile packages' }).tree;
}
