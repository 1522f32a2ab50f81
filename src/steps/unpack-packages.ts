import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { treePath } from '../base/brand.ts';
import { architectures } from '../distro/architectures.ts';
import { unpackRounds } from '../distro/package-order.ts';
import type { ResolvedPackage } from '../distro/resolved.ts';
import { parseResolvedPackages } from '../distro/resolved.ts';
import type { ExcerptName } from '../plan/excerpts.ts';
import { excerpts } from '../plan/excerpts.ts';
import type { Tree } from '../sandbox/tree.ts';
import { treeAt } from '../sandbox/tree.ts';
import { layOutTree, mergedDirectories } from './apt/bootstrap.ts';
import type { PackageRecord } from './apt/database.ts';
import { databaseName, fileList, parseConffiles, triggerInterests, unpackedStatus } from './apt/database.ts';
import type { LinkPlan } from './apt/linking.ts';
import { linkOrCopy, makeLinks, planLinks } from './apt/linking.ts';
import { importMadePackages } from './apt/local-packages.ts';
import type { UnpackedPackage } from './apt/unpacked.ts';
import { dataFile, unpackedPackages } from './apt/unpacked.ts';
import type { BuildContext, TreeStep } from './implementation.ts';

/**
 * Makes a new tree out of packages that are unpacked in the store, by links instead of copies. Later steps change the tree
 * through an overlay, so that nothing is ever written through a link.
 */
export const unpackPackages: TreeStep<'unpack-packages'> = {
  output: 'tree',
  version: 4,
  memory: 384 << 20,
  tools: [
    { tool: 'dpkg-deb', minimum: '1.21', reason: 'extracting packages' },
    { tool: 'tar', minimum: '1.27', reason: 'extracting packages' },
    { tool: 'xargs', reason: 'extracting packages on all processors' },
  ],

  async run(inputs, root, context) {
    const { packages } = parseResolvedPackages(await readFile(inputs.resolved.path, 'utf8'));
    await importMadePackages(inputs.packages ?? [], packages, context);
    const native = architectures[inputs.architecture].debian;
    const reason = packages.every(({ architecture }) => [native, 'all'].includes(architecture))
      ? await link(inUnpackOrder(packages), { root, native, documentation: inputs.documentation, context })
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
  readonly native: string;
  readonly documentation: boolean;
  readonly context: BuildContext;
}

/** Returns why it takes dpkg to unpack these packages; the tree is then still empty. */
async function link(
  packages: readonly ResolvedPackage[],
  { root, native, documentation, context }: Linking,
): Promise<string | undefined> {
  const unpacked = await unpackedPackages(packages, context);
  const records = unpacked.map(recordOf);
  const conffiles = records.map((record) => parseConffiles(record.conffiles));
  const sources = unpacked.map(({ members, entry }, index) => ({
    members,
    isBase: entry.base,
    conffiles: new Set(conffiles[index]?.filter(({ isRemoved }) => !isRemoved).map(({ path }) => path)),
  }));
  const plan = conffiles.includes(undefined)
    ? { reason: 'a configuration file has a flag that is not known' }
    : planLinks(sources, { merged: mergedDirectories(native), documentation });
  if ('reason' in plan) return plan.reason;
  await makeLinks(root, plan, {
    fileOf: ({ source, from }) => dataFile(unpacked[source]?.directory ?? root, from),
    signal: context.signal,
  });
  await layOutTree(treeAt(root), native);
  await writeDatabase(treeAt(root), unpacked, records);
  await writeChecksums(treeAt(root), unpacked, plan);
  describeExcerpts(unpacked, plan, context);
  return undefined;
}

/** What is in an excerpt comes from the packages that have anything there, in their order. */
function describeExcerpts(
  unpacked: readonly UnpackedPackage[],
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
  unpacked: readonly UnpackedPackage[],
  { links }: LinkPlan,
): Promise<void> {
  for (const [index, { entry, directory, members, control }] of unpacked.entries()) {
    if (control.includes('md5sums')) continue;
    const placed = new Set(links.filter(({ source }) => source === index).map(({ from }) => from));
    const lines = members
      .filter(({ path, type }) => type === 'file' && placed.has(path))
      .map(({ path }) => `${md5(readFileSync(dataFile(directory, path)))}  ${path}\n`);
    const target = treePath(`var/lib/dpkg/info/${databaseName(entry)}.md5sums`);
    await tree.writeText(target, Buffer.from(lines.join(''), 'latin1'));
  }
}

function md5(data: Buffer): string {
  return createHash('md5').update(data).digest('hex');
}

function recordOf({ entry, directory, members, control }: UnpackedPackage): PackageRecord {
  const read = (name: string): string =>
    control.includes(name) ? readFileSync(join(directory, 'control', name), 'utf8') : '';
  return {
    entry,
    members,
    control: read('control'),
    conffiles: read('conffiles'),
    triggers: read('triggers'),
  };
}

async function writeDatabase(
  tree: Tree,
  unpacked: readonly UnpackedPackage[],
  records: readonly PackageRecord[],
): Promise<void> {
  const write = (path: string, text: string): Promise<void> =>
    tree.writeText(treePath(`var/lib/dpkg/${path}`), Buffer.from(text, 'latin1'));
  // One file for each set of fields and path: format 1 of dpkg's directory info/.
  await write('info/format', '1\n');
  await tree.writeText(treePath('var/lib/dpkg/status'), unpackedStatus(records));
  for (const [name, text] of triggerInterests(records)) await write(`triggers/${name}`, text);
  for (const record of records) await write(`info/${databaseName(record.entry)}.list`, fileList(record));
  const info = await tree.resolve(treePath('var/lib/dpkg/info'));
  for (const { entry, directory, control } of unpacked) {
    for (const name of control.filter((file) => file !== 'control')) {
      linkOrCopy(join(directory, 'control', name), join(info, `${databaseName(entry)}.${name}`));
    }
  }
}
