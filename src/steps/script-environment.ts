import type { ScriptPhase } from '../plan/vocabulary.ts';

/** Where things stand in a script's sandbox, inside and outside the image alike: the same places as mkosi's. */
export const workDirectory = '/work';
export const sourceDirectory = '/work/src';
export const destinationDirectory = '/work/dest';
export const buildDirectory = '/work/build';
export const outputDirectory = '/work/out';
export const packageDirectory = '/work/packages';
export const artifactDirectory = '/work/artifacts';
export const configFile = '/work/config.json';
/** The tree, for scripts that run outside of it. */
export const buildroot = '/buildroot';

const scriptNames: Readonly<Record<ScriptPhase, string>> = {
  prepare: 'prepare',
  build: 'build-script',
  postinst: 'postinst',
  finalize: 'finalize',
  postoutput: 'postoutput',
};

/** Path of the running script inside its sandbox. */
export function scriptFile(phase: ScriptPhase): string {
  return `${workDirectory}/${scriptNames[phase]}`;
}

export interface PlacesOptions {
  readonly phase: ScriptPhase;
  /** BuildDirectory= is set. */
  readonly buildDirectory: boolean;
}

/**
 * Variables that hold places in the sandbox, by kind of script as mkosi sets them. MKOSI_UID and MKOSI_GID are the
 * user who called mkimg as the sandbox sees them, which is always 0: root, or the id that the caller is mapped to.
 */
export function placesEnvironment({
  phase,
  buildDirectory: hasBuildDirectory,
}: PlacesOptions): Record<string, string> {
  if (phase === 'postoutput') {
    return { SRCDIR: sourceDirectory, OUTPUTDIR: outputDirectory, ...callerVariables };
  }
  return {
    BUILDROOT: buildroot,
    SCRIPT: scriptFile(phase),
    CHROOT_SCRIPT: scriptFile(phase),
    SRCDIR: sourceDirectory,
    CHROOT_SRCDIR: sourceDirectory,
    PACKAGEDIR: packageDirectory,
    ARTIFACTDIR: artifactDirectory,
    ...callerVariables,
    ...(phase === 'build' ? bothSides('DESTDIR', destinationDirectory) : {}),
    ...(hasOutput(phase) ? bothSides('OUTPUTDIR', outputDirectory) : {}),
    ...(hasBuildDirectory ? buildDirectoryVariables(phase) : {}),
  };
}

/** The configuration, and who called mkimg. */
export const callerVariables = { MKOSI_CONFIG: configFile, MKOSI_UID: '0', MKOSI_GID: '0' } as const;

/** Scripts of this kind see the directory of artifacts. */
export function hasOutput(phase: ScriptPhase): boolean {
  return phase === 'postinst' || phase === 'finalize';
}

/** How a script sees BuildDirectory=; undefined when it does not. */
export function buildDirectoryMode(phase: ScriptPhase): 'rw' | 'ro' | undefined {
  if (phase === 'prepare' || phase === 'postoutput') return undefined;
  return phase === 'build' ? 'rw' : 'ro';
}

function buildDirectoryVariables(phase: ScriptPhase): Record<string, string> {
  if (buildDirectoryMode(phase) === undefined) return {};
  return phase === 'build' ? bothSides('BUILDDIR', buildDirectory) : { BUILDDIR: buildDirectory };
}

function bothSides(name: string, path: string): Record<string, string> {
  return { [name]: path, [`CHROOT_${name}`]: path };
}
