import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import { MkimgError } from '../../src/base/errors.ts';
import { silentEvents } from '../../src/base/events.ts';
import { readAptHost } from '../../src/cli/host.ts';
import { hostFiles } from '../../src/config/files.ts';
import { hostFacts } from '../../src/config/host.ts';
import { nativeArchitecture } from '../../src/distro/architectures/index.ts';
import { debianRepositories } from '../../src/distro/apt-sources.ts';
import type { RepositorySet } from '../../src/distro/repositories.ts';
import { acquireLock } from '../../src/engine/lock.ts';
import type { PackageRequest } from '../../src/plan/vocabulary.ts';
import { createSandbox } from '../../src/sandbox/sandbox.ts';
import type { PrivilegeMode } from '../../src/sandbox/types.ts';
import { openRepositorySet } from '../../src/steps/apt/repository-set.ts';
import type { BuildContext, PartStore } from '../../src/steps/implementation.ts';
import { installPackages } from '../../src/steps/install-packages.ts';
import { resolvePackages } from '../../src/steps/resolve-packages.ts';

const execute = promisify(execFile);

export const debianKeyring = hostPath('/usr/share/keyrings/debian-archive-keyring.gpg');

/** The repositories of a release, from the mirror that this machine uses. */
export async function debianSet(release: string, more: Partial<RepositorySet> = {}): Promise<RepositorySet> {
  const host = await readAptHost(hostFacts(hostFiles));
  return {
    kind: 'apt',
    repositories: debianRepositories({
      release,
      components: ['main'],
      keyring: { $host: debianKeyring },
      ...(host === undefined ? {} : { host }),
    }),
    checkSignatures: true,
    checkValidUntil: true,
    sandboxTrees: [],
    ...more,
  };
}

/** Runs the steps of the apt driver on directories below one; downloads and indexes are kept between calls. */
export class AptBench {
  readonly directory: HostPath;
  readonly #mode: PrivilegeMode;
  readonly #packagePool: HostPath;
  readonly #parts: PartStore;
  #count = 0;

  constructor(directory: HostPath, mode: PrivilegeMode, packagePool = hostPath(join(directory, 'packages'))) {
    this.directory = directory;
    this.#mode = mode;
    this.#packagePool = packagePool;
    this.#parts = plainParts(hostPath(join(directory, 'parts')));
  }

  async context(more: Partial<BuildContext> = {}): Promise<BuildContext> {
    this.#count += 1;
    const work = hostPath(join(this.directory, `work-${this.#count}`));
    await mkdir(work, { recursive: true });
    return {
      events: silentEvents,
      sandbox: createSandbox({ mode: this.#mode, tools: { kind: 'host' }, events: silentEvents }),
      work,
      products: hostPath(join(work, 'products')),
      packagePool: this.#packagePool,
      metadataCache: hostPath(join(this.directory, 'metadata')),
      signal: new AbortController().signal,
      origin: undefined,
      metadataPolicy: { refresh: 'aged', maxAge: 3_600_000 },
      jobs: 2,
      parts: this.#parts,
      lock: (path) => acquireLock(path),
      madeFrom: () => undefined,
      stateOf: () => Promise.resolve(undefined),
      progress: () => undefined,
      ...more,
    };
  }

  /** Resolves into a file of this name and gives its path. */
  async resolve(
    set: RepositorySet,
    request: Partial<Omit<PackageRequest, 'installed' | 'packageDirectories'>> & {
      readonly installed?: HostPath;
      readonly directories?: readonly HostPath[];
    },
    context?: Partial<BuildContext>,
  ): Promise<HostPath> {
    const complete = await this.context(context);
    const target = hostPath(join(complete.work, 'resolved.json'));
    const { names = [], recommends = false, installed, directories = [] } = request;
    await resolvePackages.run(
      {
        repositories: openRepositorySet(set),
        request: {
          names,
          recommends,
          packageDirectories: directories.map((path) => ({ path })),
          ...(installed === undefined ? {} : { installed: { path: installed, meta: null } }),
        },
        architecture: nativeArchitecture(),
      },
      target,
      complete,
    );
    return target;
  }

  async install(resolved: HostPath, root: HostPath, documentation = true): Promise<void> {
    await mkdir(root, { recursive: true });
    await installPackages.run(
      {
        resolved: { path: resolved, meta: null },
        architecture: nativeArchitecture(),
        documentation,
        bootable: true,
        environment: {},
      },
      root,
      await this.context(),
    );
  }
}

/** Parts that are moved into a directory and never checked. */
function plainParts(directory: HostPath): PartStore {
  const places = new Map<string, HostPath>();
  return {
    obtain: async (parts, make) => {
      await mkdir(directory, { recursive: true });
      const missing = parts.filter((part) => !places.has(JSON.stringify(part.identity)));
      const made = missing.length === 0 ? [] : await make(missing, () => undefined);
      for (const [index, part] of missing.entries()) {
        const place = hostPath(join(directory, String(places.size)));
        await rename(made[index] ?? '', place);
        places.set(JSON.stringify(part.identity), place);
      }
      return parts.map((part) => places.get(JSON.stringify(part.identity)) ?? directory);
    },
  };
}

/** The error that a promise ends in; fails when it does not. */
export async function failureOf(promise: Promise<unknown>): Promise<MkimgError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof MkimgError) return error;
    throw error;
  }
  throw new Error('expected a failure');
}

/** Builds a package with these files and gives the path of the .deb; `fields` are lines of its control file. */
export async function buildPackage(
  directory: string,
  fields: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>> = {},
): Promise<HostPath> {
  const { Package: name = '', Version: version = '1' } = fields;
  const source = join(directory, `${name}-${version}`);
  await mkdir(join(source, 'DEBIAN'), { recursive: true });
  const complete = {
    Version: version,
    Architecture: 'all',
    Maintainer: 'T <t@mkimg.example>',
    Description: 'test',
    ...fields,
  };
  const control = Object.entries(complete).map(([field, value]) => `${field}: ${value}\n`);
  await writeFile(join(source, 'DEBIAN/control'), control.join(''));
  for (const [path, text] of Object.entries(files)) {
    const file = join(source, path);
    await mkdir(join(file, '..'), { recursive: true });
    await writeFile(file, text, { mode: 0o755 });
  }
  const target = join(directory, `${name}_${version}_all.deb`);
  await execute('dpkg-deb', ['--root-owner-group', '--build', source, target]);
  return hostPath(target);
}

/** Makes an unsigned repository of these packages on disk. */
export async function buildRepository(
  directory: string,
  packages: readonly HostPath[],
  release: Readonly<Record<string, string>>,
): Promise<RepositorySet> {
  const index = join(directory, 'dists/test/main/binary-amd64');
  await mkdir(index, { recursive: true });
  let entries = '';
  for (const path of packages) {
    const data = await readFile(path);
    const name = path.split('/').at(-1) ?? '';
    await copyFile(path, join(directory, name));
    const { stdout } = await execute('dpkg-deb', ['--field', path]);
    entries += `${stdout}Filename: ${name}\nSize: ${data.length}\nSHA256: ${sha256(data)}\n\n`;
  }
  await writeFile(join(index, 'Packages'), entries);
  const fields = { Suite: 'test', Codename: 'test', Architectures: 'amd64', Components: 'main', ...release };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\n`);
  const listed = `SHA256:\n ${sha256(entries)} ${Buffer.byteLength(entries)} main/binary-amd64/Packages\n`;
  await writeFile(join(directory, 'dists/test/Release'), lines.join('') + listed);
  return {
    kind: 'apt',
    repositories: [{ uris: [`file:${directory}`], suites: ['test'], components: ['main'], trusted: true }],
    checkSignatures: true,
    checkValidUntil: true,
    sandboxTrees: [],
  };
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
