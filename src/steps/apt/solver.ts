import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { MkimgError } from '../../base/errors.ts';
import { closest } from '../../base/suggestion.ts';
import { parseStanzas } from '../../distro/deb822.ts';
import type { ResolvedPackage } from '../../distro/resolved.ts';
import type { BuildContext } from '../implementation.ts';
import type { AptDirectories, InstallQuestion } from './configuration.ts';
import {
  aptDownloadArgv,
  aptExplainArgv,
  aptInstallArgv,
  aptNamesArgv,
  aptRun,
  aptShowArgv,
  prepareAptConfiguration,
} from './configuration.ts';
import { missingPackages } from './faults.ts';
import type { LocalPackage } from './local-packages.ts';
import { localPreferences, writeLocalIndex } from './local-packages.ts';
import type { AptSources } from './repository-set.ts';
import type { SolutionFile } from './solution.ts';
import { exactVersion, parsePrintUris, resolvedPackage } from './solution.ts';

/** What apt chooses from, and on top of what. */
export interface AptScene {
  readonly sources: AptSources;
  readonly metadata: Pick<AptDirectories, 'lists' | 'cache' | 'readOnlyLists'>;
  /** Content of dpkg's status file; empty for a new system. */
  readonly status: string;
  /** Package files besides the repositories. */
  readonly local: readonly LocalPackage[];
}

/** Prepares apt below the scratch directory of the step; the last one counts. */
export async function openApt(scene: AptScene, context: BuildContext): Promise<Apt> {
  const { sources, metadata, status, local } = scene;
  const configuration = hostPath(join(context.work, 'apt'));
  await prepareAptConfiguration(sources, configuration);
  await writePreferences(local, configuration);
  await writeFile(join(configuration, 'status'), status);
  const index = await writeLocalIndex(local, hostPath(join(context.work, 'local')));
  const directories = { configuration, ...metadata, ...(index === undefined ? {} : { local: index }) };
  return new Apt({ sources, directories, local }, context);
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

interface AptPlace {
  readonly sources: AptSources;
  readonly directories: AptDirectories;
  readonly local: readonly LocalPackage[];
}

/** apt over one state of the repositories. */
export class Apt {
  readonly #sources: AptSources;
  readonly #directories: AptDirectories;
  readonly #local: readonly LocalPackage[];
  readonly #context: BuildContext;

  constructor({ sources, directories, local }: AptPlace, context: BuildContext) {
    this.#sources = sources;
    this.#directories = directories;
    this.#local = local;
    this.#context = context;
  }

  /** The files to install; `items` are the user's words for the same request. */
  async solve(question: InstallQuestion, items: readonly string[]): Promise<SolutionFile[]> {
    const argv =
      question.alone === true
        ? aptDownloadArgv(this.#directories, question.names)
        : aptInstallArgv(this.#directories, question);
    try {
      return parsePrintUris(await this.#capture('apt-get', argv, 'choosing packages'));
    } catch (error) {
      if (!(error instanceof MkimgError) || error.code !== 'tool-failed') throw error;
      throw (await this.#notFound(error, items)) ?? (await this.#conflict(error, question));
    }
  }

  /** Joins the files with what the indexes say about them. */
  async describe(files: readonly SolutionFile[]): Promise<ResolvedPackage[]> {
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
      return resolvedPackage(file, stanza, this.#urls(file));
    });
  }

  /** A repository with several URIs has the same files below each. */
  #urls(file: SolutionFile): string[] {
    const own = this.#local.find((entry) => entry.sha256 === file.sha256);
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
