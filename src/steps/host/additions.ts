import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { isOfFullDisk, MkimgError } from '../../base/errors.ts';
import { formatDpkgStatus } from '../../distro/dpkg-status.ts';
import { consistentPackages } from '../../distro/host-closure.ts';
import type { HostPackage } from '../../distro/host-packages.ts';
import type { ResolvedPackage } from '../../distro/resolved.ts';
import type { Opened } from '../../plan/step.ts';
import type { StepInputs } from '../../plan/vocabulary.ts';
import { fetchPackages } from '../apt/fetch.ts';
import type { LocalPackage } from '../apt/local-packages.ts';
import { ensureMetadata } from '../apt/metadata.ts';
import { requestArchitectures } from '../apt/repository-set.ts';
import { metadataDirectory } from '../apt/resolve.ts';
import type { Apt, AptScene } from '../apt/solver.ts';
import { openApt } from '../apt/solver.ts';
import type { BuildContext } from '../implementation.ts';
import { namesOf } from './database.ts';

export interface AdditionRequest {
  readonly inputs: Opened<StepInputs['resolve-packages']>;
  readonly installed: readonly HostPackage[];
  /** Debian's name of the system's architecture. */
  readonly native: string;
  /** APT's lists of the system. */
  readonly lists: HostPath;
  readonly local: readonly LocalPackage[];
  /** What nothing installed satisfies, as apt is to be asked for it. */
  readonly items: readonly string[];
}

/**
 * What apt adds to the installed packages for a request, with the files in the pool: first by the lists of the system, then
 * by mkimg's own, which are fetched where the policy says so. What cannot be had is not among the result, and no error.
 */
export async function findAdditions(
  request: AdditionRequest,
  context: BuildContext,
): Promise<readonly ResolvedPackage[]> {
  const found = new Map<string, ResolvedPackage>();
  let items = request.items;
  for (const metadata of [systemMetadata, ownMetadata]) {
    const answer = await attempt(() => solve(request, items, { metadata, context }));
    if (answer === undefined) continue;
    const here = await obtained(answer.packages, context);
    for (const entry of here) found.set(`${entry.name}:${entry.architecture}`, entry);
    items = here.length < answer.packages.length ? items : answer.missing;
    if (items.length === 0) break;
  }
  return [...found.values()];
}

type MetadataOf = (
  request: AdditionRequest,
  context: BuildContext,
) => Promise<AptScene['metadata'] | undefined>;

interface Attempt {
  readonly metadata: MetadataOf;
  readonly context: BuildContext;
}

async function systemMetadata({ lists }: AdditionRequest, { work }: BuildContext): ReturnType<MetadataOf> {
  if (!namesOf(lists).some((name) => /_Packages(\.[a-z0-9]+)?$/.test(name))) return undefined;
  const cache = hostPath(join(work, 'apt-cache'));
  await mkdir(cache, { recursive: true });
  return { lists, cache, readOnlyLists: true };
}

async function ownMetadata(request: AdditionRequest, context: BuildContext): ReturnType<MetadataOf> {
  const sources = sourcesOf(request);
  return ensureMetadata(sources, await metadataDirectory(sources, context), context);
}

function sourcesOf({ inputs }: AdditionRequest): AptScene['sources'] {
  const architectures = requestArchitectures(inputs.architecture, inputs.request.names);
  return { set: inputs.repositories, architectures };
}

interface Answer {
  readonly packages: readonly ResolvedPackage[];
  /** What apt does not know. */
  readonly missing: readonly string[];
}

async function solve(
  request: AdditionRequest,
  items: readonly string[],
  { metadata, context }: Attempt,
): Promise<Answer | undefined> {
  const indexes = await metadata(request, context);
  if (indexes === undefined) return undefined;
  // apt refuses to work on a system with broken dependencies, even where they do not matter.
  const status = formatDpkgStatus(consistentPackages(request.installed, request.native));
  const scene = { sources: sourcesOf(request), metadata: indexes, status, local: request.local };
  const apt = await openApt(scene, context);
  const together = await ask(apt, items, request);
  if (together !== undefined) return { packages: together, missing: [] };
  const packages: ResolvedPackage[] = [];
  const missing: string[] = [];
  for (const item of items) {
    const alone = await ask(apt, [item], request);
    if (alone === undefined) missing.push(item);
    else packages.push(...alone);
  }
  return { packages, missing };
}

/** undefined where apt knows no way. */
function ask(
  apt: Apt,
  names: readonly string[],
  { inputs }: AdditionRequest,
): Promise<readonly ResolvedPackage[] | undefined> {
  const { recommends } = inputs.request;
  return attempt(async () => apt.describe(await apt.solve({ names, recommends }, names)));
}

/** The packages whose files are in the pool now, or are made by this build. */
async function obtained(
  packages: readonly ResolvedPackage[],
  context: BuildContext,
): Promise<readonly ResolvedPackage[]> {
  const made = packages.filter(({ urls }) => urls.every((url) => url.startsWith('made:')));
  const others = packages.filter((entry) => !made.includes(entry));
  const fetched: ResolvedPackage[] = [];
  for (const group of [others, ...others.map((entry) => [entry])]) {
    const isHere =
      (await attempt(async () => fetchPackages(group, { ...context, attempts: 2 }).then(() => true))) ??
      false;
    if (isHere && group === others) return packages;
    if (isHere) fetched.push(...group);
  }
  return [...made, ...fetched];
}

/** undefined where something outside is to blame: the network, the mirror, the lists. */
async function attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    // Without space nothing can be had, and leaving everything out would be no answer.
    if (error instanceof MkimgError && !isOfFullDisk(error)) return undefined;
    throw error;
  }
}
