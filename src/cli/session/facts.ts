import { randomUUID } from 'node:crypto';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import type { Json } from '../../base/canonical.ts';
import { canonicalJson } from '../../base/canonical.ts';
import { MkimgError } from '../../base/errors.ts';
import { exists } from '../../base/files.ts';
import { hostFiles } from '../../config/files.ts';
import { hostFacts } from '../../config/host.ts';
import type { ImageConfig, ResolvedImage } from '../../config/project.ts';
import { imageJson } from '../../config/resolved-image.ts';
import type { SettingName } from '../../config/settings/table.ts';
import type { AptHost } from '../../distro/apt-sources.ts';
import { debianRepositories } from '../../distro/apt-sources.ts';
import type { RepositorySet } from '../../distro/repositories.ts';
import type { SecretHash } from '../../engine/secret.ts';
import type { PlanFacts } from '../../plan/image.ts';
import type { HostPackages } from '../../plan/vocabulary.ts';
import { readAptHost } from '../host.ts';

/** Debian's keyring, from package debian-archive-keyring. */
const keyring = hostPath('/usr/share/keyrings/debian-archive-keyring.gpg');

export interface FactsRequest {
  readonly secretHash: SecretHash;
  readonly buildArguments: readonly string[];
  readonly volatileDirectories: readonly HostPath[];
  /** Initrds are made of the packages of a running system. */
  readonly hostPackages?: HostPackages;
}

/** Collects what planning needs to know about this machine. */
export async function planFacts(request: FactsRequest): Promise<PlanFacts> {
  const host = await readAptHost(hostFacts(hostFiles));
  if (!(await exists(keyring))) throw missingKeyring();
  return {
    repositoriesOf: (config) => repositories(config, host),
    secretDigest: request.secretHash,
    randomUuid: () => randomUUID(),
    buildArguments: request.buildArguments,
    volatileDirectories: request.volatileDirectories,
    ...(request.hostPackages === undefined ? {} : { hostPackages: request.hostPackages }),
    configJson: (image) => canonicalJson(configForScripts(image)),
  };
}

/** Where results are kept decides nothing about them: what scripts make must not be keyed by it. */
const aboutTheCache = ['CacheAccess', 'CacheMaxSize', 'CacheUrl'] as const satisfies readonly SettingName[];

function configForScripts(image: ResolvedImage): Json {
  const left = Object.fromEntries(aboutTheCache.map((name) => [name, undefined]));
  return { ...imageJson(image, { revealSecrets: false }), ...left };
}

function missingKeyring(): MkimgError {
  return new MkimgError('keyring-missing', `Debian's keyring ${keyring} is not on this machine`, {
    hint: 'Install the package debian-archive-keyring.',
  });
}

function repositories(config: ImageConfig, host: AptHost | undefined): RepositorySet {
  return {
    kind: 'apt',
    repositories: debianRepositories({
      release: config.Release,
      components: ['main', ...config.Repositories.filter((name) => name !== 'main')],
      ...(config.Mirror === undefined ? {} : { mirror: config.Mirror }),
      ...(host === undefined ? {} : { host }),
      keyring: { $host: keyring },
    }),
    checkSignatures: config.RepositoryKeyCheck,
    checkValidUntil: config.CheckValidUntil,
    sandboxTrees: config.SandboxTrees.map(({ source }) => ({ $host: source })),
  };
}
