import { readFile } from 'node:fs/promises';
import type { HostPath, TreePath } from '../base/brand.ts';
import { treePath } from '../base/brand.ts';
import { MkimgError } from '../base/errors.ts';
import { architectures } from '../distro/architectures/index.ts';
import type { InstalledPackage } from '../distro/dpkg-status.ts';
import { unpackRounds } from '../distro/package-order.ts';
import type { ResolvedPackage } from '../distro/resolved.ts';
import { parseResolvedPackages } from '../distro/resolved.ts';
import type { Tree } from '../sandbox/tree.ts';
import { treeAt } from '../sandbox/tree.ts';
import { extractPackages, layOutTree } from './apt/bootstrap.ts';
import { databaseName } from './apt/database.ts';
import { Dpkg } from './apt/dpkg.ts';
import { fetchPackages } from './apt/fetch.ts';
import { packagesWithUnknownScripts, setUpWithoutScripts } from './apt/without-scripts.ts';
import { importMadePackages } from './apt/local-packages.ts';
import type { Opened } from '../plan/step.ts';
import type { StepInputs } from '../plan/vocabulary.ts';
import type { BuildContext, TreeStep } from './implementation.ts';
import { packageDirectory } from './host/package-archives.ts';
import { installedPackages, isSamePackage } from './installed-packages.ts';
import { packagesNeed } from './needed-space.ts';

/** Downloads and installs exactly what was resolved; in a tree with packages only what is missing or different. */
export const installPackages: TreeStep<'install-packages'> = {
  output: 'tree',
  version: 7,
  memory: 256 << 20,
  tools: [
    { tool: 'dpkg-deb', minimum: '1.21', reason: 'extracting packages' },
    { tool: 'tar', minimum: '1.27', reason: 'extracting packages' },
    { tool: 'xargs', reason: 'extracting packages on all processors' },
    { tool: 'find', reason: 'setting the times of directories' },
    { tool: 'touch', reason: 'setting the times of directories' },
  ],
  needs: packagesNeed,

  async run(inputs, root, context) {
    const { packages } = parseResolvedPackages(await readFile(inputs.resolved.path, 'utf8'));
    const tree = treeAt(root);
    const installed = await installedPackages(tree);
    const wanted = packages.filter((entry) => !isIn(setUpStates, entry, installed));
    const isUnpacked = installed.length > 0 && wanted.every((entry) => isIn(['unpacked'], entry, installed));
    if (inputs.skipKnownScripts === true && isUnpacked) {
      const unknown = await packagesWithUnknownScripts({ packages: wanted, tree });
      if (unknown.length === 0)
        return setUpWithoutScripts({ packages: wanted, tree }, inputs.environment, context);
      noteUnknown(unknown, context);
    }
    const dpkg = new Dpkg(root, inputs, context);
    await dpkg.prepare({ isUnpacked });
    if (isUnpacked) {
      await setUp(wanted, { tree, dpkg, version: dpkgVersion(packages) });
    } else {
      const isNew = installed.length === 0;
      await unpackAndSetUp({ packages, wanted, isNew }, { inputs, tree, dpkg, context });
    }
    const later = inputs.triggersLater === true;
    // What a system lacks that runs, an image of it may lack.
    const force = wanted.some(({ unmet }) => unmet !== undefined);
    const isPending = packages.some((entry) => !isIn(['installed'], entry, installed));
    if (isPending && !later) await dpkg.configurePending({ force, triggers: true });
    await checkResult(tree, packages, later ? setUpStates : ['installed']);
  },
};

/** States of packages whose maintainer scripts need not run any more, but for triggers. */
const setUpStates = ['installed', 'triggers-pending', 'triggers-awaited'];

function dpkgVersion(packages: readonly ResolvedPackage[]): string {
  return packages.find(({ name }) => name === 'dpkg')?.version.replace(/-[^-]*$/, '') ?? '';
}

function noteUnknown(names: readonly string[], { events }: BuildContext): void {
  events.emit({
    ...{ type: 'note', level: 'info', code: 'scripts-run' },
    message: `Maintainer scripts are run, because mkimg does not know those of ${names.join(', ')}`,
  });
}

type InstallInputs = Opened<StepInputs['install-packages']>;

interface Workplace {
  readonly tree: Tree;
  readonly dpkg: Dpkg;
}

/** Everything is unpacked, and no maintainer script of these packages was run yet. */
async function setUp(
  packages: readonly ResolvedPackage[],
  { tree, dpkg, version }: Workplace & { readonly version: string },
): Promise<void> {
  const prepare = async (entries: readonly ResolvedPackage[]): Promise<void> => {
    const types = await Promise.all(entries.map((entry) => tree.type(preinstOf(entry))));
    const scripts = entries.filter((_, index) => types[index] !== undefined);
    if (scripts.length > 0 || (await hasDiversions(tree))) await dpkg.runPreinst(scripts, version);
  };
  const base = packages.filter((entry) => entry.base);
  await prepare(base);
  await configureBase(base, dpkg);
  for (const round of unpackRounds(packages.filter((entry) => !entry.base))) {
    await dpkg.configure(round.configure, round.isForced);
    await prepare(round.unpack);
  }
}

function preinstOf(entry: ResolvedPackage): TreePath {
  return treePath(`var/lib/dpkg/info/${databaseName(entry)}.preinst`);
}

async function hasDiversions(tree: Tree): Promise<boolean> {
  return ((await tree.readText(treePath('var/lib/dpkg/diversions'))) ?? '') !== '';
}

interface Unpacking {
  readonly packages: readonly ResolvedPackage[];
  readonly wanted: readonly ResolvedPackage[];
  /** There are no packages in the tree yet. */
  readonly isNew: boolean;
}

async function unpackAndSetUp(
  { packages, wanted, isNew }: Unpacking,
  { inputs, tree, dpkg, context }: Workplace & { inputs: InstallInputs; context: BuildContext },
): Promise<void> {
  await importMadePackages(inputs.packages ?? [], wanted, context);
  await fetchPackages(
    wanted.filter(({ repacked }) => repacked === undefined),
    context,
  );
  const packagePool = await packageDirectory(wanted, context);
  dpkg.readFrom(packagePool);
  const native = architectures[inputs.architecture].names.debian;
  await layOutTree(tree, native);
  await addForeignArchitectures(tree, native, packages);
  const base = isNew ? wanted.filter((entry) => entry.base) : [];
  if (isNew)
    await installBase(
      { base, root: tree.root, dpkg, context: { ...context, packagePool } },
      inputs.documentation,
    );
  await installRest(
    wanted.filter((entry) => !base.includes(entry)),
    dpkg,
  );
}

function isIn(
  states: readonly string[],
  entry: ResolvedPackage,
  packages: readonly InstalledPackage[],
): boolean {
  return packages.some((other) => isSamePackage(entry, other) && states.includes(other.state));
}

interface Base {
  readonly base: readonly ResolvedPackage[];
  readonly root: HostPath;
  readonly dpkg: Dpkg;
  readonly context: BuildContext;
}

/**
 * The first packages of a system. Their maintainer scripts may use any essential package, so all are extracted first, and
 * then installed once more by dpkg in the order that debootstrap has found to work: pre-dependencies cannot be kept here.
 */
async function installBase({ base, root, dpkg, context }: Base, documentation: boolean): Promise<void> {
  await extractPackages(base, root, { documentation, context });
  await dpkg.unpack(base, true);
  await configureBase(base, dpkg);
}

async function configureBase(base: readonly ResolvedPackage[], dpkg: Dpkg): Promise<void> {
  // Maintainer scripts of others use its users and groups.
  const first = base.filter((entry) => entry.name === 'base-passwd');
  await dpkg.configure(first, true);
  await dpkg.configure(
    base.filter((entry) => !first.includes(entry)),
    true,
  );
}

/** All other packages: unpacked in as few runs as Pre-Depends allows, configured by the caller in one. */
async function installRest(packages: readonly ResolvedPackage[], dpkg: Dpkg): Promise<void> {
  for (const round of unpackRounds(packages)) {
    await dpkg.configure(round.configure, round.isForced);
    await dpkg.unpack(round.unpack, round.isForced);
  }
}

async function addForeignArchitectures(
  tree: Tree,
  native: string,
  packages: readonly ResolvedPackage[],
): Promise<void> {
  const names = new Set(packages.map(({ architecture }) => architecture));
  names.delete('all');
  names.delete(native);
  if (names.size === 0) return;
  const path = treePath('var/lib/dpkg/arch');
  const known = ((await tree.readText(path)) ?? `${native}\n`).split('\n').filter((line) => line !== '');
  await tree.writeText(path, `${[...new Set([...known, ...names])].join('\n')}\n`);
}

/** dpkg's exit code does not tell of packages that only wait for a trigger. */
async function checkResult(
  tree: Tree,
  wanted: readonly ResolvedPackage[],
  states: readonly string[],
): Promise<void> {
  const installed = await installedPackages(tree);
  const broken = wanted.filter((entry) => !isIn(states, entry, installed));
  if (broken.length === 0) return;
  const names = broken.map((entry) => entry.name);
  throw new MkimgError('package-failed', `These packages are not fully installed: ${names.join(', ')}.`, {
    items: names,
  });
}
