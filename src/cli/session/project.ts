import { join } from 'node:path';
import type { HostPath, ImageName } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import type { Diagnostic, Result } from '../../base/diagnostic.ts';
import { ConfigurationError } from '../../base/errors.ts';
import type { EventSink } from '../../base/events.ts';
import type { ImageConfig, Project, ResolvedImage } from '../../config/project.ts';
import { loadBuiltinImage, loadProject } from '../../config/project.ts';
import type { Purpose } from '../../config/buildable.ts';
import { unsupportedValues } from '../../config/buildable.ts';
import { needsDefaultInitrd } from '../../plan/project.ts';
import { describeOrigin } from '../diagnostics.ts';
import { productDirectory } from '../product.ts';
import type { VerbContext } from '../verb.ts';
import { buildableImages } from './images.ts';
import { configurationPrograms } from './programs.ts';

/** A configuration set that mkimg brings along: `initrd`, `tools`. */
function builtinDirectory(name: string): HostPath {
  return hostPath(join(productDirectory, 'configs', name));
}

/**
 * Reads the configuration that a verb works on; remarks become notes.
 * @param parts.readsTests also the boot tests
 * @throws ConfigurationError with all faults
 */
export async function readProject(
  context: VerbContext,
  { readsTests = false }: { readonly readsTests?: boolean } = {},
): Promise<Project> {
  const { assignments, options, events, signal } = context;
  const result = await loadProject({
    directory: options.directory,
    readsDirectory: options.isProjectless !== true,
    readsTests,
    assignments,
    environment: process.env,
    runProgram: configurationPrograms(events, signal),
  });
  return accept(result, events);
}

/** @throws ConfigurationError for values of an image that mkimg has no effect for */
export function checkValues(image: ResolvedImage, purpose: Purpose): void {
  const faults = unsupportedValues(image, purpose);
  if (faults.length > 0) throw new ConfigurationError(faults);
}

/**
 * The images of the default initrds, by the image that each is for: the project's own, and further ones for images whose
 * packages come from elsewhere.
 */
export async function readInitrds(
  project: Pick<Project, 'images'>,
  events: EventSink,
): Promise<ReadonlyMap<ImageName, ResolvedImage>> {
  const initrds = new Map<ImageName, ResolvedImage>();
  for (const image of buildableImages(project)) {
    if (!needsDefaultInitrd(image.config)) continue;
    const own = project.images.find(({ name }) => name === 'default-initrd');
    const fits = own !== undefined && isForSameSystem(own.config, image.config);
    initrds.set(image.name, fits ? own : await readInitrd(image, events));
  }
  return initrds;
}

const systemSettings = ['Distribution', 'Release', 'Architecture', 'Mirror', 'Snapshot'] as const;

function isForSameSystem(initrd: ImageConfig, image: ImageConfig): boolean {
  return systemSettings.every((setting) => initrd[setting] === image[setting]);
}

/** The image of the default initrd of an image. */
async function readInitrd(main: ResolvedImage, events: EventSink): Promise<ResolvedImage> {
  const request = { name: 'default-initrd', directory: builtinDirectory('initrd'), inherit: main } as const;
  const { InitrdPackages: packages, InitrdProfiles: profiles } = main.config;
  const assignments = [
    ...packages.map((name) => ({ setting: 'Packages', text: name, flag: `InitrdPackages=${name}` })),
    ...profiles.map((name) => ({ setting: 'Profiles', text: name, flag: `InitrdProfiles=${name}` })),
  ];
  return accept(await loadBuiltinImage({ ...request, assignments, environment: process.env }), events);
}

/**
 * `build`: programs that make images; `vm`: programs that run those of the main image's architecture; `emulator`: what runs
 * programs of another architecture.
 */
export type ToolsProfile = 'build' | 'vm' | 'emulator';

/**
 * The image of the tools tree: for builds as the project describes it, otherwise mkimg's own.
 * @throws ConfigurationError for values that mkimg has no effect for
 */
export async function readTools(
  project: Pick<Project, 'main' | 'tools'>,
  profile: ToolsProfile,
  events: EventSink,
): Promise<ResolvedImage> {
  const described = profile === 'build' ? describedTools(project) : undefined;
  if (described !== undefined) {
    checkValues(described, 'build');
    return described;
  }
  const request = { name: 'tools', directory: builtinDirectory('tools'), inherit: project.main } as const;
  // QEMU and firmware for all architectures together would take half a gigabyte.
  const profiles = profile === 'vm' ? [profile, `vm-${project.main.config.Architecture}`] : [profile];
  const assignments = profiles.map((text) => ({ setting: 'Profiles', text, flag: `--profile=${text}` }));
  return accept(await loadBuiltinImage({ ...request, assignments, environment: process.env }), events);
}

/**
 * The tools tree of ToolsTree=default as the project describes it, which then has all that `mkimg summary --image tools`
 * shows; undefined where the project only says that there shall be one: mkimg's own is smaller.
 */
export function describedTools({ tools }: Pick<Project, 'tools'>): ResolvedImage | undefined {
  const isDescribed = tools?.assignments.some(
    ({ layer, kind }) => layer !== 'built-in' && (kind === 'set' || kind === 'clear'),
  );
  return isDescribed === true ? tools : undefined;
}

function accept<T>(result: Result<T>, events: EventSink): T {
  if (!result.ok) throw new ConfigurationError(result.diagnostics);
  for (const warning of result.warnings) emitWarning(warning, events);
  return result.value;
}

function emitWarning({ code, message, hint, origin }: Diagnostic, events: EventSink): void {
  const place = origin === undefined ? undefined : describeOrigin(origin);
  events.emit({
    type: 'note',
    level: 'warning',
    code,
    message: place === undefined ? message : `${place}: ${message}`,
    ...(hint === undefined ? {} : { hint }),
  });
}
