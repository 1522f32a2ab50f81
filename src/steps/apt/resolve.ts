import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath, Sha256 } from '../../base/brand.ts';
import { hostPath, treePath } from '../../base/brand.ts';
import { MkimgError } from '../../base/errors.ts';
import { closest } from '../../base/suggestion.ts';
import { formatStanzas, parseStanzas } from '../../distro/deb822.ts';
import { formatDpkgStatus } from '../../distro/dpkg-status.ts';
import { markBaseSet } from '../../distro/package-order.ts';
import type { ResolvedPackage } from '../../distro/resolved.ts';
import { parseResolvedPackages } from '../../distro/resolved.ts';
import type { Opened } from '../../plan/step.ts';
import type { StepInputs } from '../../plan/vocabulary.ts';
import { treeAt } from '../../sandbox/tree.ts';
import type { BuildContext } from '../implementation.ts';
import type { AptDirectories, InstallQuestion } from './configuration.ts';
import {
  aptExplainArgv,
  aptInstallArgv,
  aptNamesArgv,
  aptRun,
  aptShowArgv,
  prepareAptConfiguration,
} from './configuration.ts';
import { missingPackages } from './faults.ts';
import type { LocalPackage } from './local-packages.ts';
import { localDirectory, localPreferences, localRequest, writeLocalIndex } from './local-packages.ts';
import { ensureMetadata } from './metadata.ts';
import type { AptSources } from './repository-set.ts';
import { repositorySetDigest, requestArchitectures } from './repository-set.ts';
import type { SolutionFile } from './solution.ts';
import { exactVersion, parsePrintUris, resolvedPackage } from './solution.ts';

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

  const configuration = hostPath(join(context.work, 'apt'));
  await prepareAptConfiguration(sources, configuration);
  await writePreferences(local.packages, configuration);
  await writeFile(join(configuration, 'status'), there?.status ?? '');
  const index = await writeLocalIndex(local.packages, hostPath(join(context.work, 'local')));
  const directories: AptDirectories = {
    configuration,
    lists: metadata.lists,
    cache: metadata.cache,
    ...(index === undefined ? {} : { local: index }),
  };
  const apt = new Apt(sources, directories, context);
  const question = {
    names: [...(there === undefined ? ['?essential'] : []), ...local.names],
    recommends: request.recommends,
  };
  const files = await apt.solve(question, request.names);
  const found = await apt.describe(files, local.packages);
  if (there === undefined && !found.some((entry) => entry.essential)) throw noEssential(context);
  const packages = there === undefined ? markBaseSet(found) : combined(there.resolved, found);
  return { packages, state: metadata.id };
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

/**
 * usrmerge rearranges a running system and needs perl; a tree that is made with merged directories satisfies the same
 * dependency with usr-is-merged.
 */
const mergedUsrPreference = 'Package: usrmerge\nPin: release *\nPin-Priority: -1\n';

async function writePreferences(local: readonly LocalPackage[], configuration: HostPath): Promise<void> {
  const path = join(configuration, 'etc/preferences.d/mkimg');
  await writeFile(path, `${mergedUsrPreference}\n${localPreferences(local)}`);
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

/** apt over one state of the repositories. */
class Apt {
  readonly #sources: AptSources;
  readonly #directories: AptDirectories;
  readonly #context: BuildContext;

  constructor(sources: AptSources, directories: AptDirectories, context: BuildContext) {
    this.#sources = sources;
    this.#directories = directories;
    this.#context = context;
  }

  /** The files to install; `items` are the user's words for the same request. */
  async solve(question: InstallQuestion, items: readonly string[]): Promise<SolutionFile[]> {
    const argv = aptInstallArgv(this.#directories, question);
    try {
      return parsePrintUris(await this.#capture('apt-get', argv, 'choosing packages'));
    } catch (error) {
      if (!(error instanceof MkimgError) || error.code !== 'tool-failed') throw error;
      throw (await this.#notFound(error, items)) ?? (await this.#conflict(error, question));
    }
  }

  /** Joins the files with what the indexes say about them. */
  async describe(files: readonly SolutionFile[], local: readonly LocalPackage[]): Promise<ResolvedPackage[]> {
    if (files.length === 0) return [];
    const native = this.#sources.architectures[0] ?? '';
    const versions = files.map((file) => exactVersion(file, native));
    const shown = await this.#capture(
      'apt-cache',
      aptShowArgv(this.#directories, versions),
      'reading indexes',
    );
    const stanzas = new Map(parseStanzas(shown).map((stanza) => [stanza.get('sha256'), stanza]));
    return files.map((file) => {
      const stanza = stanzas.get(file.sha256);
      if (stanza === undefined) throw new Error(`internal: no index entry for ${file.name} ${file.version}`);
      return resolvedPackage(file, stanza, this.#urls(file, local));
    });
  }

  /** A repository with several URIs has the same files below each. */
  #urls(file: SolutionFile, local: readonly LocalPackage[]): string[] {
    const own = local.find((entry) => entry.sha256 === file.sha256);
    if (own !== undefined) return [own.url];
    const url = file.url.replace(/^copy:/, 'file:');
    for (const { uris } of this.#sources.set.repositories) {
      const prefixes = uris.map((uri) => uri.replace(/\/+$/, ''));
      const prefix = prefixes.find((candidate) => url.startsWith(`${candidate}/`));
      if (prefix === undefined) continue;
      const others = prefixes.filter((other) => other !== prefix);
      return [url, ...others.map((other) => other + url.slice(prefix.length))];
    }
    return [url];
  }

  async #notFound(error: MkimgError, items: readonly string[]): Promise<MkimgError | undefined> {
    const missing = missingPackages(error.tail);
    if (missing.length === 0) return undefined;
    const names = await this.#capture('apt-cache', aptNamesArgv(this.#directories), 'looking for names');
    const known = names.split('\n').filter((name) => name !== '');
    const descriptions = missing.map(({ name, reason, isUnknown }) => {
      const near = isUnknown ? closest(name, known) : undefined;
      return `${name} (${reason}${near === undefined ? '' : `; did you mean ${near}?`})`;
    });
    const { origin } = this.#context;
    return new MkimgError('package-not-found', `Cannot find ${descriptions.join(', ')}.`, {
      hint: 'Check the names, Release= and Repositories= (main, contrib, non-free, non-free-firmware).',
      items: items.filter((item) =>
        missing.some(
          ({ name }) => item === name || item.startsWith(`${name}=`) || item.startsWith(`${name}/`),
        ),
      ),
      tail: error.tail,
      cause: error,
      ...(origin === undefined ? {} : { origin }),
    });
  }

  /** Asks once more in the form in which apt explains itself. */
  async #conflict(error: MkimgError, question: InstallQuestion): Promise<MkimgError> {
    try {
      await this.#run('apt-get', aptExplainArgv(this.#directories, question), 'choosing packages');
      return error;
    } catch (explained) {
      if (!(explained instanceof MkimgError) || explained.code !== 'tool-failed') throw explained;
      const { origin } = this.#context;
      return new MkimgError('package-conflict', 'The packages asked for cannot be installed together.', {
        hint: 'The last lines say which dependencies are in the way.',
        tail: explained.tail,
        cause: error,
        ...(explained.reenter === undefined ? {} : { reenter: explained.reenter }),
        ...(origin === undefined ? {} : { origin }),
      });
    }
  }

  async #capture(tool: string, argv: readonly string[], purpose: string): Promise<string> {
    const run = aptRun(this.#sources, this.#directories);
    return (await this.#context.sandbox.run({ ...run, tool, argv, stdout: 'capture', purpose })).stdout;
  }

  async #run(tool: string, argv: readonly string[], purpose: string): Promise<void> {
    await this.#context.sandbox.run({ ...aptRun(this.#sources, this.#directories), tool, argv, purpose });
  }
}
