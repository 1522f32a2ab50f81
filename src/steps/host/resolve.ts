import type { HostPath } from '../../base/brand.ts';
import { MkimgError } from '../../base/errors.ts';
import { architectures } from '../../distro/architectures/index.ts';
import type { Closure, ClosureRequest } from '../../distro/host-closure.ts';
import { installedClosure } from '../../distro/host-closure.ts';
import type { HostPackage } from '../../distro/host-packages.ts';
import { markBaseSet } from '../../distro/package-order.ts';
import type { ResolvedPackage } from '../../distro/resolved.ts';
import type { Opened } from '../../plan/step.ts';
import type { HostPackages, StepInputs } from '../../plan/vocabulary.ts';
import { resolveInTree } from '../../sandbox/resolve.ts';
import { localDirectory, localRequest } from '../apt/local-packages.ts';
import type { BuildContext } from '../implementation.ts';
import { findAdditions } from './additions.ts';
import type { HostDatabase } from './database.ts';
import { readHostDatabase } from './database.ts';
import { indexedFiles } from './indexes.ts';
import { locatePackages } from './package-files.ts';

/** The answer of a resolution on a running system. */
export interface HostResolution {
  readonly packages: readonly ResolvedPackage[];
  /** Entries of the request that are neither installed nor to be had. */
  readonly leftOut: readonly string[];
  /** Names of packages that are not installed and come from the repositories. */
  readonly added: readonly string[];
  readonly database: HostDatabase;
}

interface Scene {
  readonly inputs: Opened<StepInputs['resolve-packages']>;
  readonly host: HostPackages;
  readonly database: HostDatabase;
  readonly context: BuildContext;
}

/**
 * Finds the packages of a request among those that are installed on a system, in the versions that are installed, and their
 * content. What is not installed is chosen by apt on top of them; where that fails it is left out, with a warning: a system
 * that runs without a package starts without it, too.
 * @throws MkimgError `host-without-packages`; `package-not-found` when nothing of the request can be had
 */
export async function resolveOnHost(
  inputs: Opened<StepInputs['resolve-packages']>,
  host: HostPackages,
  context: BuildContext,
): Promise<HostResolution> {
  const database = await readHostDatabase(host.root);
  if (database.packages.length === 0) throw withoutPackages(host, context);
  const scene: Scene = { inputs, host, database, context };
  const closure = await wholeClosure(scene);
  const { missing } = closure;
  const installed = closure.packages.filter(isInstalled);
  const added = closure.packages.filter((entry): entry is ResolvedPackage => !isInstalled(entry));
  if (installed.length === 0 || missing.length === Math.max(inputs.request.names.length, 1)) {
    throw nothingFound(missing, context);
  }
  const located = await locate(installed, scene);
  const packages = markBaseSet([...located, ...added].map((entry) => withUnmet(entry, closure)));
  report({ packages, leftOut: missing, host }, context);
  return { packages, leftOut: missing, added: added.map(({ name }) => name), database };
}

/** A package that is installed, or one that apt adds. */
type Candidate = HostPackage | ResolvedPackage;

function isInstalled(entry: Candidate): entry is HostPackage {
  return 'state' in entry;
}

async function wholeClosure({ inputs, host, database, context }: Scene): Promise<Closure<Candidate>> {
  const native = architectures[inputs.architecture].names.debian;
  const { names, recommends, packageDirectories } = inputs.request;
  const directories = await Promise.all(packageDirectories.map(localDirectory));
  const local = await localRequest(names, directories, context);
  const request: ClosureRequest = { items: local.names, native, recommends };
  // The user's own package files win over what is installed.
  const given = new Set(local.packages.map(({ control }) => control.get('package')));
  const ours = database.packages.filter(({ name }) => !given.has(name));
  const closure = installedClosure<Candidate>(ours, request);
  const items = [...closure.missing, ...closure.unmet.flatMap(({ names: [first] }) => first ?? [])];
  if (items.length === 0) return closure;
  const additions = await findAdditions(
    {
      ...{ inputs, native, items: [...new Set(items)], local: local.packages },
      installed: database.packages,
      lists: await inSystem(host, 'var/lib/apt/lists'),
    },
    context,
  );
  return closureWith(additions, database.packages, request);
}

/** The closure with additions in place of what they replace, without those whose own dependencies could not be had. */
function closureWith(
  additions: readonly ResolvedPackage[],
  installed: readonly HostPackage[],
  request: ClosureRequest,
): Closure<Candidate> {
  const id = (entry: Candidate): string => `${entry.name}:${entry.architecture}`;
  let usable = additions;
  for (;;) {
    const available = new Map<string, Candidate>(
      [...installed, ...usable].map((entry) => [id(entry), entry]),
    );
    const closure = installedClosure([...available.values()], request);
    const broken = closure.unmet.map(({ of }) => of).filter((entry) => !isInstalled(entry));
    if (broken.length === 0) return closure;
    usable = usable.filter((entry) => !broken.includes(entry));
  }
}

async function locate(
  packages: readonly HostPackage[],
  { inputs, host, database, context }: Scene,
): Promise<readonly ResolvedPackage[]> {
  const lists = await inSystem(host, 'var/lib/apt/lists');
  const archives = await inSystem(host, 'var/cache/apt/archives');
  let known: ReturnType<typeof indexedFiles> | undefined;
  const indexed = () => (known ??= indexedFiles(lists, packages, inputs.repositories.repositories));
  return locatePackages(packages, { host, database, archives, indexed, context });
}

async function inSystem({ root }: HostPackages, path: string): Promise<HostPath> {
  return (await resolveInTree(root, path, 'follow')).path;
}

function withUnmet(entry: ResolvedPackage, { unmet }: Closure<Candidate>): ResolvedPackage {
  const names = unmet
    .filter(({ of }) => of.name === entry.name && of.architecture === entry.architecture)
    .map(({ names: alternatives }) => alternatives.join(' | '));
  return names.length === 0 ? entry : { ...entry, unmet: names };
}

function report(
  { packages, leftOut, host }: Pick<HostResolution, 'packages' | 'leftOut'> & { readonly host: HostPackages },
  { events, origin }: BuildContext,
): void {
  const where = origin === undefined ? {} : { origin };
  if (leftOut.length > 0) {
    events.emit({
      ...{ type: 'note', level: 'warning', code: 'package-left-out', ...where },
      message: `Left out, because they are neither installed nor to be had: ${leftOut.join(', ')}`,
    });
  }
  const broken = packages.flatMap(({ name, unmet = [] }) => unmet.map((names) => `${name} (${names})`));
  if (broken.length > 0) {
    events.emit({
      ...{ type: 'note', level: 'warning', code: 'host-dependency-unmet', ...where },
      message: `Installed packages lack what they depend on: ${broken.join(', ')}`,
    });
  }
  // What is intact is the package.
  const isWorse = ({ repacked }: ResolvedPackage): boolean =>
    repacked !== undefined &&
    (!host.sources.includes('intact') || repacked.modified.length + repacked.missing.length > 0);
  const repacked = packages.filter(isWorse);
  if (repacked.length > 0) {
    events.emit({
      ...{ type: 'note', level: 'info', code: 'packages-repacked', ...where },
      message: `${repacked.length} of ${packages.length} packages are made of their installed files`,
    });
  }
}

function withoutPackages({ root }: HostPackages, { origin }: BuildContext): MkimgError {
  return new MkimgError(
    'host-without-packages',
    `There is no database of installed Debian packages below ${root}.`,
    {
      hint: 'Only a system with dpkg has packages to build an initrd from.',
      ...(origin === undefined ? {} : { origin }),
    },
  );
}

function nothingFound(items: readonly string[], { origin }: BuildContext): MkimgError {
  return new MkimgError(
    'package-not-found',
    `None of these packages is installed or to be had: ${items.join(', ')}.`,
    {
      hint: 'Check the names, and access to the repositories.',
      items,
      ...(origin === undefined ? {} : { origin }),
    },
  );
}
