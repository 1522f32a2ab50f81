import type { HostPath } from '../base/brand.ts';
import { basename } from 'node:path';
import type { BuildableConfig } from '../config/project.ts';
import { architectures } from '../distro/architectures/index.ts';
import type { PlannedImage } from './image.ts';
import type { Chain } from './tree.ts';
import type { Ref } from './step.ts';
import { productsOf } from './step.ts';
import type { ScriptPhase, ScriptSettings, SourcesMode } from './vocabulary.ts';

/** The setting that names the scripts of a phase. */
export const settingOfPhase = {
  prepare: 'PrepareScripts',
  build: 'BuildScripts',
  postinst: 'PostInstallationScripts',
  finalize: 'FinalizeScripts',
  postoutput: 'PostOutputScripts',
} as const satisfies Readonly<Record<ScriptPhase, string>>;

const labelOfPhase: Readonly<Record<ScriptPhase, string>> = {
  prepare: 'run prepare scripts',
  build: 'run build scripts',
  postinst: 'run post-installation scripts',
  finalize: 'run finalize scripts',
  postoutput: 'run post-output scripts',
};

/** What mkosi gives its scripts as arguments (reference mkosi.md 4.3). */
const argumentsOfPhase: Readonly<Record<ScriptPhase, readonly string[]>> = {
  prepare: ['final'],
  build: [],
  postinst: ['final'],
  finalize: [],
  postoutput: [],
};

const sourcesModes = { yes: 'ephemeral', buildcache: 'buildcache' } as const satisfies Record<
  string,
  SourcesMode
>;

/** Adds the scripts of one phase that run on the image's own tree. */
export function planScripts(
  image: PlannedImage,
  chain: Chain,
  phase: Exclude<ScriptPhase, 'build' | 'postoutput'>,
): void {
  const setting = settingOfPhase[phase];
  if (image.config[setting].length === 0) return;
  const options = { keep: true, variant: phase, ...image.originOption(setting) };
  chain.change('run-scripts', scriptSettings(image, phase, chain.products), {
    label: labelOfPhase[phase],
    ...options,
  });
  chain.products = productsOf(chain.current);
}

/** @param products what the image's earlier scripts left. */
export function scriptSettings(
  image: PlannedImage,
  phase: ScriptPhase,
  products: Ref<'products'> | undefined,
): ScriptSettings {
  const { config } = image;
  const packages = phase === 'postoutput' ? [] : image.others.packages();
  const buildDirectory = phase === 'build' ? config.BuildDirectory : undefined;
  const network = hasNetwork(image, phase);
  return {
    phase,
    scripts: config[settingOfPhase[phase]].map(scriptEntry),
    arguments: phase === 'build' ? image.buildArguments : argumentsOfPhase[phase],
    environment: scriptVariables(config, image.environment),
    network,
    ...(network ? { repositories: image.repositories } : {}),
    sources: image.buildSources,
    ...(config.BuildSourcesEphemeral === 'no'
      ? {}
      : { sourcesMode: sourcesModes[config.BuildSourcesEphemeral] }),
    ...(buildDirectory === undefined ? {} : { buildDirectory: { $unkeyed: buildDirectory } }),
    configJson: image.configJson,
    ...(runsAgain(image, phase) ? { again: image.runId } : {}),
    ...(products === undefined ? {} : { products }),
    ...(packages.length === 0 ? {} : { packages }),
  };
}

function hasNetwork({ config }: PlannedImage, phase: ScriptPhase): boolean {
  return phase === 'prepare' || (config.WithNetwork && phase !== 'postoutput');
}

/** Prepare scripts are kept although they have network, as mkosi does, unless the user says otherwise. */
function runsAgain(image: PlannedImage, phase: ScriptPhase): boolean {
  if (image.config.Cacheable) return false;
  return phase !== 'prepare' || image.originOption('Cacheable').origin !== undefined;
}

function scriptEntry(path: HostPath): ScriptSettings['scripts'][number] {
  const name = basename(path);
  return { file: { $host: path }, chroot: name.endsWith('.chroot'), name };
}

/** What scripts of all kinds find in their environment about the image. */
export function scriptVariables(
  config: BuildableConfig,
  environment: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const { names, efi } = architectures[config.Architecture];
  return {
    DISTRIBUTION: config.Distribution,
    RELEASE: config.Release,
    ARCHITECTURE: config.Architecture,
    DISTRIBUTION_ARCHITECTURE: names.debian,
    ...(efi === undefined ? {} : { EFI_ARCHITECTURE: efi.name }),
    PROFILES: config.Profiles.join(' '),
    ...(config.ImageId === undefined ? {} : { IMAGE_ID: config.ImageId }),
    ...(config.ImageVersion === undefined ? {} : { IMAGE_VERSION: config.ImageVersion }),
    WITH_DOCS: config.WithDocs ? '1' : '0',
    WITH_TESTS: config.WithTests ? '1' : '0',
    WITH_NETWORK: config.WithNetwork ? '1' : '0',
    ...environment,
  };
}
