import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath, Sha256 } from '../../base/brand.ts';
import { hostPath, treePath } from '../../base/brand.ts';
import { MkimgError } from '../../base/errors.ts';
import { formatStanzas, parseStanzas } from '../../distro/deb822.ts';
import { formatDpkgStatus } from '../../distro/dpkg-status.ts';
import { markBaseSet } from '../../distro/package-order.ts';
import type { ResolvedPackage } from '../../distro/resolved.ts';
import { parseResolvedPackages } from '../../distro/resolved.ts';
import type { Opened } from '../../plan/step.ts';
import type { StepInputs } from '../../plan/vocabulary.ts';
import { treeAt } from '../../sandbox/tree.ts';
import type { BuildContext } from '../implementation.ts';
import { localDirectory, localRequest } from './local-packages.ts';
import { ensureMetadata } from './metadata.ts';
import type { AptSources } from './repository-set.ts';
import { repositorySetDigest, requestArchitectures } from './repository-set.ts';
import { openApt } from './solver.ts';

export interface Resolution {
  readonly packages: readonly ResolvedPackage[];
  /** State of the repositories that the answer was found in. */
  readonly state: Sha256;
}

/**
 * Asks apt which exact packages satisfy the request, on top of those that are installed, else for a new system with all
 * essential packages.
 * @throws MkimgError `package-not-found` (with the items), `package-conflict`, and those of ensureMetadata() and
 * localRequest().
 */
export async function resolvePackageRequest(
  inputs: Opened<StepInputs['resolve-packages']>,
  context: BuildContext,
): Promise<Resolution> {
  const { request, repositories: set } = inputs;
  const sources = { set, architectures: requestArchitectures(inputs.architecture, request.names) };
  const metadata = await ensureMetadata(sources, await metadataDirectory(sources, context), context);
  const localDirectories = await Promise.all(request.packageDirectories.map(localDirectory));
  const local = await localRequest(request.names, localDirectories, context);
  const there = await whatIsThere(request, context);

  const status = there?.status ?? '';
  const apt = await openApt({ sources, metadata, status, local: local.packages }, context);
  const isNew = there === undefined && request.alone !== true;
  const question = {
    names: [...(isNew ? [essentialPattern(sources)] : []), ...local.names],
    recommends: request.recommends,
    alone: request.alone === true,
  };
  const files = await apt.solve(question, request.names);
  const found = await apt.describe(files);
  if (isNew && !found.some((entry) => entry.essential)) throw noEssential(context);
  const packages = isNew ? markBaseSet(found) : combined(there?.resolved ?? [], found);
  return { packages, state: metadata.id };
}

/** Of several architectures, each has essential packages of its own. */
function essentialPattern({ architectures: [native = '', ...foreign] }: AptSources): string {
  return foreign.length === 0
    ? '?essential'
    : `?and(?essential,?or(?architecture(${native}),?architecture(all)))`;
}

/** Packages that a request builds on. */
interface Present {
  /** Those that were resolved for this image before. */
  readonly resolved: readonly ResolvedPackage[];
  /** dpkg's database of all of them. */
  readonly status: string;
}

/**
 * What is installed before the request; undefined for a new system.
 * @throws MkimgError `base-without-packages`
 */
async function whatIsThere(
  { installed, installedIn }: Opened<StepInputs['resolve-packages']>['request'],
  context: BuildContext,
): Promise<Present | undefined> {
  if (installed === undefined && installedIn === undefined) return undefined;
  const resolved =
    installed === undefined ? [] : parseResolvedPackages(await readFile(installed.path, 'utf8')).packages;
  const below = installedIn === undefined ? '' : await baseStatus(installedIn.root, resolved, context);
  return { resolved, status: `${below}${formatDpkgStatus(resolved)}` };
}

/** dpkg's database of a base tree, without the packages that were replaced since. */
async function baseStatus(
  root: HostPath,
  replaced: readonly ResolvedPackage[],
  { origin }: BuildContext,
): Promise<string> {
  const text = (await treeAt(root).readText(treePath('var/lib/dpkg/status'))) ?? '';
  const stanzas = parseStanzas(text);
  if (stanzas.length === 0) {
    throw new MkimgError('base-without-packages', 'No package is installed in the trees of BaseTrees=.', {
      hint: 'Packages can only be added to a tree with a package database: set CleanPackageMetadata=no where it is built.',
      ...(origin === undefined ? {} : { origin }),
    });
  }
  const names = new Set(replaced.map(({ name, architecture }) => `${name}:${architecture}`));
  const kept = stanzas.filter(
    (stanza) => !names.has(`${stanza.get('package') ?? ''}:${stanza.get('architecture') ?? ''}`),
  );
  return `${formatStanzas(kept.map((stanza) => [...stanza]))}\n`;
}

/** Where the indexes of these repositories are kept. */
export async function metadataDirectory(
  sources: AptSources,
  context: { readonly metadataCache: HostPath },
): Promise<HostPath> {
  return hostPath(join(context.metadataCache, await repositorySetDigest(sources)));
}

/** apt finds it in order that a pattern matches nothing. */
function noEssential({ origin }: BuildContext): MkimgError {
  return new MkimgError(
    'package-not-found',
    'The repositories have no essential packages to begin a system with.',
    {
      hint: 'Check Mirror=, Release=, Repositories= and Architecture=.',
      ...(origin === undefined ? {} : { origin }),
    },
  );
}

/** What is installed, with what is new or replaced. */
function combined(
  installed: readonly ResolvedPackage[],
  found: readonly ResolvedPackage[],
): readonly ResolvedPackage[] {
  const id = (entry: ResolvedPackage): string => `${entry.name}:${entry.architecture}`;
  return [...new Map([...installed, ...found].map((entry) => [id(entry), entry])).values()];
}
