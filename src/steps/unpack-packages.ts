import { lstatSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { HostPath, TreePath } from '../base/brand.ts';
import { treePath } from '../base/brand.ts';
import { architectures } from '../distro/architectures/index.ts';
import { unpackRounds } from '../distro/package-order.ts';
import type { ResolvedPackage } from '../distro/resolved.ts';
import { parseResolvedPackages } from '../distro/resolved.ts';
import type { ExcerptName } from '../plan/excerpts.ts';
import { excerpts } from '../plan/excerpts.ts';
import type { Tree } from '../sandbox/tree.ts';
import { treeAt } from '../sandbox/tree.ts';
import { layOutTree, mergedDirectories } from './apt/bootstrap.ts';
import type { PackageRecord } from './apt/database.ts';
import {
  activatedTriggers,
  claimedPaths,
  databaseName,
  fileList,
  parseConffiles,
  triggerInterests,
  unpackedStatus,
} from './apt/database.ts';
import type { LinkOptions, LinkPlan, TreeBelow } from './apt/linking.ts';
import { makeLinks, planLinks } from './apt/linking.ts';
import { importMadePackages } from './apt/local-packages.ts';
import { hasUnknownScripts } from './apt/without-scripts.ts';
import type { Opened } from '../plan/step.ts';
import type { StepInputs } from '../plan/vocabulary.ts';
import type { BuildContext, TreeStep } from './implementation.ts';
import { installedPackages, isSamePackage } from './installed-packages.ts';
import { leftOutEarly } from './left-out.ts';
import { packagesNeed } from './needed-space.ts';
import type { PackageContent } from './package-contents.ts';
import { packageContents } from './package-contents.ts';

/**
 * Makes a new tree, or a layer above one, out of packages that are unpacked in the store, by links instead of copies. Later
 * steps change the tree through an overlay, so that nothing is ever written through a link.
 */
export const unpackPackages: TreeStep<'unpack-packages'> = {
  output: 'tree',
  version: 5,
  layer: true,
  memory: 384 << 20,
  tools: [
    { tool: 'dpkg-deb', minimum: '1.21', reason: 'extracting packages' },
    { tool: 'tar', minimum: '1.27', reason: 'extracting packages' },
    { tool: 'xargs', reason: 'extracting packages on all processors' },
  ],
  needs: packagesNeed,

  async run(inputs, root, context) {
    const { packages: resolved } = parseResolvedPackages(await readFile(inputs.resolved.path, 'utf8'));
    const below = inputs.base === undefined ? undefined : treeAt(inputs.base.root);
    const present = below === undefined ? [] : await installedPackages(below);
    const packages = resolved.filter((entry) => !present.some((other) => isSamePackage(entry, other)));
    await importMadePackages(inputs.packages ?? [], packages, context);
    const native = architectures[inputs.architecture].names.debian;
    const linking = { root, below, native, inputs, context };
    const reason = packages.every(({ architecture }) => [native, 'all'].includes(architecture))
      ? await link(inUnpackOrder(packages), linking)
      : 'there are packages of another architecture';
    if (reason === undefined) return;
    context.events.emit({
      ...{ type: 'note', level: 'info', code: 'unpacked-by-dpkg' },
      message: `Packages are unpacked one by one, which takes longer: ${reason}`,
    });
  },
};

/** The base set first, then the others by their pre-dependencies. */
function inUnpackOrder(packages: readonly ResolvedPackage[]): readonly ResolvedPackage[] {
  const rest = unpackRounds(packages.filter(({ base }) => !base));
  return [...packages.filter(({ base }) => base), ...rest.flatMap(({ unpack }) => unpack)];
}

interface Linking {
  readonly root: HostPath;
  /** The tree that `root` is going to lie above. */
  readonly below: Tree | undefined;
  readonly native: string;
  readonly inputs: Opened<StepInputs['unpack-packages']>;
  readonly context: BuildContext;
}

/** Returns why it takes dpkg to unpack these packages; the tree is then still empty. */
async function link(
  packages: readonly ResolvedPackage[],
  { root, below, native, inputs, context }: Linking,
): Promise<string | undefined> {
  const unpacked = await packageContents(packages, context);
  const records = unpacked.map(recordOf);
  const conffiles = records.map((record) => parseConffiles(record.conffiles));
  const sources = unpacked.map(({ members, entry }, index) => ({
    members,
    isBase: entry.base,
    conffiles: new Set(conffiles[index]?.filter(({ isRemoved }) => !isRemoved).map(({ path }) => path)),
  }));
  const plan = conffiles.includes(undefined)
    ? { reason: 'a configuration file has a flag that is not known' }
    : planLinks(sources, {
        ...{ merged: mergedDirectories(native), documentation: inputs.documentation },
        ...leavingOut(inputs, unpacked),
        ...(below === undefined ? {} : { below: await treeBelow(below) }),
      });
  if ('reason' in plan) return plan.reason;
  await makeLinks(root, plan, {
    put: ({ source, from }, target) => unpacked[source]?.put(from, target),
    signal: context.signal,
  });
  if (below === undefined) await layOutTree(treeAt(root), native);
  await writeDatabase(treeAt(root), { unpacked, records, below });
  await writeChecksums(treeAt(root), unpacked, plan);
  describeExcerpts(unpacked, plan, context);
  return undefined;
}

/** What is in an excerpt comes from the packages that have anything there, in their order. */
function describeExcerpts(
  unpacked: readonly PackageContent[],
  { links, directories }: LinkPlan,
  context: BuildContext,
): void {
  for (const name of Object.keys(excerpts) as ExcerptName[]) {
    const paths: readonly string[] = excerpts[name];
    const isInside = (place: string): boolean =>
      paths.some(
        (path) => place.startsWith(path) && (place.length === path.length || place[path.length] === '/'),
      );
    const sources = [...new Set(links.filter(({ to }) => isInside(to)).map(({ source }) => source))];
    context.madeFrom(name, {
      packages: sources.map((source) => unpacked[source]?.entry.sha256 ?? ''),
      directories: directories
        .filter(({ path }) => isInside(path))
        .map(({ path, mode }) => `${mode} ${path}`),
    });
  }
}

/** Packages may come without checksums of their files: dpkg then makes a list of what it unpacks. */
async function writeChecksums(
  tree: Tree,
  unpacked: readonly PackageContent[],
  { links }: LinkPlan,
): Promise<void> {
  for (const [index, { entry, members, control, md5 }] of unpacked.entries()) {
    if (control.includes('md5sums')) continue;
    const placed = new Set(links.filter(({ source }) => source === index).map(({ from }) => from));
    const lines = members
      .filter(({ path, type }) => type === 'file' && placed.has(path))
      .map(({ path }) => `${md5(path)}  ${path}\n`);
    const target = treePath(`var/lib/dpkg/info/${databaseName(entry)}.md5sums`);
    await tree.writeText(target, Buffer.from(lines.join(''), 'latin1'));
  }
}

function databasePath(path: string): TreePath {
  return treePath(`var/lib/dpkg/${path}`);
}

/** What the links have to know of the tree below. Each path is looked up once. */
async function treeBelow(tree: Tree): Promise<TreeBelow> {
  const [diversions, overrides] = await Promise.all(
    ['diversions', 'statoverride'].map((name) => tree.readText(databasePath(name))),
  );
  const claimed = claimedPaths(diversions ?? '', overrides ?? '');
  const known = new Map<string, ReturnType<TreeBelow['at']>>();
  const look = (path: string): ReturnType<TreeBelow['at']> => {
    const parent = dirname(path);
    if (parent !== '.' && typeof at(parent) !== 'object') return undefined;
    const full = Buffer.concat([Buffer.from(`${tree.root}/`), Buffer.from(path, 'latin1')]);
    const stats = lstatSync(full, { throwIfNoEntry: false });
    if (stats === undefined) return undefined;
    return stats.isDirectory() ? { mode: stats.mode & 0o7777, uid: stats.uid, gid: stats.gid } : 'other';
  };
  const at = (path: string): ReturnType<TreeBelow['at']> => {
    if (!known.has(path)) known.set(path, look(path));
    return known.get(path);
  };
  return { at, isClaimed: (path) => claimed.has(path) };
}

function recordOf({ entry, members, controlText }: PackageContent): PackageRecord {
  return {
    ...{ entry, members },
    control: controlText('control'),
    conffiles: controlText('conffiles'),
    triggers: controlText('triggers'),
  };
}

/** What is removed in the end need not be there, unless maintainer scripts may look for it meanwhile. */
function leavingOut(
  { leaveOut = [] }: Opened<StepInputs['unpack-packages']>,
  contents: readonly PackageContent[],
): Pick<LinkOptions, 'leavesOut'> {
  const isNeeded = contents.some(({ entry, controlText }) =>
    hasUnknownScripts(entry.name, [controlText('preinst', 'latin1'), controlText('postinst', 'latin1')]),
  );
  return leaveOut.length === 0 || isNeeded ? {} : { leavesOut: leftOutEarly(leaveOut) };
}

interface Unpacked {
  readonly unpacked: readonly PackageContent[];
  readonly records: readonly PackageRecord[];
  readonly below: Tree | undefined;
}

/** Writes the whole of each file that this tree has another content of than the one below it. */
async function writeDatabase(tree: Tree, { unpacked, records, below }: Unpacked): Promise<void> {
  if (records.length === 0 && below !== undefined) return;
  const write = (path: string, text: string): Promise<void> =>
    tree.writeText(databasePath(path), Buffer.from(text, 'latin1'));
  const before = async (path: string): Promise<string> => (await below?.readText(databasePath(path))) ?? '';
  // One file for each set of fields and path: format 1 of dpkg's directory info/.
  await write('info/format', '1\n');
  await tree.writeText(databasePath('status'), (await before('status')) + unpackedStatus(records));
  const pending = { interests: await before('triggers/File'), pending: await before('triggers/Unincorp') };
  const activated = activatedTriggers(records, pending);
  if (activated !== pending.pending) await write('triggers/Unincorp', activated);
  for (const [name, text] of triggerInterests(records)) {
    await write(`triggers/${name}`, (await before(`triggers/${name}`)) + text);
  }
  // Hundreds of files: looking up each of their paths would take longer than all else here.
  const info = await tree.resolve(treePath('var/lib/dpkg/info'));
  for (const record of records)
    writeFileSync(join(info, `${databaseName(record.entry)}.list`), fileList(record), 'latin1');
  for (const { entry, control, putControl } of unpacked) {
    for (const name of control.filter((file) => file !== 'control'))
      putControl(name, join(info, `${databaseName(entry)}.${name}`));
  }
}
