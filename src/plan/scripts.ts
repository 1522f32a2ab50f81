import type { HostPath } from '../base/brand.ts';
import { basename } from 'node:path';
import { architectures } from '../distro/architectures.ts';
import type { PlannedImage } from './image.ts';
import type { Chain } from './tree.ts';
import type { ScriptPhase, ScriptSettings } from './vocabulary.ts';

const settingOfPhase = {
  prepare: 'PrepareScripts',
  build: 'BuildScripts',
  postinst: 'PostInstallationScripts',
  finalize: 'FinalizeScripts',
} as const satisfies Readonly<Record<ScriptPhase, string>>;

const labelOfPhase: Readonly<Record<ScriptPhase, string>> = {
  prepare: 'run prepare scripts',
  build: 'run build scripts',
  postinst: 'run post-installation scripts',
  finalize: 'run finalize scripts',
};

/** What mkosi gives its scripts as arguments (reference mkosi.md 4.3). */
const argumentsOfPhase: Readonly<Record<ScriptPhase, readonly string[]>> = {
  prepare: ['final'],
  build: [],
  postinst: ['final'],
  finalize: [],
};

/** Adds the scripts of one phase that run on the image's own tree. */
export function planScripts(image: PlannedImage, chain: Chain, phase: Exclude<ScriptPhase, 'build'>): void {
  const setting = settingOfPhase[phase];
  if (image.config[setting].length === 0) return;
  const options = { keep: true, variant: phase, ...image.originOption(setting) };
  chain.change('run-scripts', scriptSettings(image, phase), { label: labelOfPhase[phase], ...options });
}

export function scriptSettings(image: PlannedImage, phase: ScriptPhase): ScriptSettings {
  const { config } = image;
  const buildDirectory =
    phase === 'build' && config.BuildDirectory !== undefined ? config.BuildDirectory : undefined;
  return {
    phase,
    scripts: config[settingOfPhase[phase]].map(scriptEntry),
    arguments: phase === 'build' ? image.buildArguments : argumentsOfPhase[phase],
    environment: scriptEnvironment(image),
    network: phase === 'prepare' || config.WithNetwork,
    sources: image.buildSources,
    ...(buildDirectory === undefined ? {} : { buildDirectory: { $unkeyed: buildDirectory } }),
    configJson: image.configJson,
  };
}

function scriptEntry(path: HostPath): ScriptSettings['scripts'][number] {
  const name = basename(path);
  return { file: { $host: path }, chroot: name.endsWith('.chroot'), name };
}

function scriptEnvironment(image: PlannedImage): Readonly<Record<string, string>> {
  const { config } = image;
  const { debian, efi } = architectures[config.Architecture];
  return {
    DISTRIBUTION: config.Distribution,
    RELEASE: config.Release,
    ARCHITECTURE: config.Architecture,
    DISTRIBUTION_ARCHITECTURE: debian,
    ...(efi === undefined ? {} : { EFI_ARCHITECTURE: efi }),
    PROFILES: config.Profiles.join(' '),
    ...(config.ImageId === undefined ? {} : { IMAGE_ID: config.ImageId }),
    ...(config.ImageVersion === undefined ? {} : { IMAGE_VERSION: config.ImageVersion }),
    WITH_DOCS: config.WithDocs ? '1' : '0',
    WITH_TESTS: config.WithTests ? '1' : '0',
    WITH_NETWORK: config.WithNetwork ? '1' : '0',
    ...image.environment,
  };
}
