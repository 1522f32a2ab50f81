import { join } from 'node:path';
import type { HostPath, ImageName } from '../base/brand.ts';
import { hostPath, imageName } from '../base/brand.ts';
import type { Diagnostic, Origin, Result } from '../base/diagnostic.ts';
import { fail, ok } from '../base/diagnostic.ts';
import type { CommandLineAssignment } from './assignments.ts';
import { applyCommandLine } from './assignments.ts';
import { includePending, noteUnknownProfiles, prefixOf, readDirectory } from './directory.ts';
import type { ConfigFiles } from './files.ts';
import { hostFiles } from './files.ts';
import { hostFacts } from './host.ts';
import { resultSuffixes } from './known-files.ts';
import type { ImageLoading, LoadEnvironment } from './loading.ts';
import type { ResolvedImage } from './resolved-image.ts';
import { finishImage } from './resolved-image.ts';
import type { HostFacts } from './setting.ts';
import type { SettingName } from './settings/table.ts';
import { settingRows } from './settings/table.ts';
import { force, preload } from './values.ts';

export type { CommandLineAssignment } from './assignments.ts';
export type { ResolvedImage } from './resolved-image.ts';
export type { ImageConfig, SettingName } from './settings/table.ts';

/** A configuration directory, read. */
export interface Project {
  /** In the order in which they are built; the main image comes last. */
  readonly images: readonly ResolvedImage[];
  /** The image that verbs act on. */
  readonly main: ResolvedImage;
  readonly directory: HostPath;
  readonly warnings: readonly Diagnostic[];
  /** Configuration files in the order in which they were read. */
  readonly sources: readonly HostPath[];
}

export interface ProjectRequest {
  readonly directory: HostPath;
  readonly assignments: readonly CommandLineAssignment[];
  /** Of the process that called mkimg. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** By default, this machine. */
  readonly host?: HostFacts;
  /** By default, the disk. */
  readonly files?: ConfigFiles;
}

/** Reads a project. Nothing is run. All faults come at once. */
export async function loadProject(request: ProjectRequest): Promise<Result<Project>> {
  // The files are few and small: they are read as the language asks for them, one after the other.
  await Promise.resolve();
  const world = loadEnvironment(request);
  if (world.files.stat(request.directory)?.directory !== true) return noDirectory(request.directory);
  const directory = projectDirectory(world.files, request.directory);
  if (directory === undefined && !describesAnImage(request.assignments))
    return noConfiguration(request.directory);
  const loading = newImage({ name: imageName('main'), directory: directory ?? request.directory }, world);
  readImage(loading, request.assignments);
  const main = finishImage(loading);
  const errors = loading.faults.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) return fail(...loading.faults);
  const project = { images: [main], main, directory: loading.directory, sources: loading.sources };
  return ok({ ...project, warnings: loading.faults }, loading.faults);
}

export interface BuiltinRequest {
  readonly name: 'default-initrd' | 'tools';
  /** The directory that describes it (configs/initrd). */
  readonly directory: HostPath;
  /** The image that it is built for. */
  readonly inherit: ResolvedImage;
  /** Further settings; they count like the command line. */
  readonly assignments: readonly CommandLineAssignment[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly host?: HostFacts;
  readonly files?: ConfigFiles;
}

/** Settings that describe the target: a tools tree has its own, for it runs here. */
const targetSettings: readonly SettingName[] = [
  'Distribution',
  'Release',
  'Architecture',
  'Repositories',
  'SandboxTrees',
  'PackageDirectories',
];

/**
 * Reads an image that mkimg brings along. What the user's image decides for all images is fixed; what other images
 * start from is handed down, both with an origin that says so.
 */
export async function loadBuiltinImage(request: BuiltinRequest): Promise<Result<ResolvedImage>> {
  await Promise.resolve();
  const world = loadEnvironment(request);
  const { directory, inherit } = request;
  const loading = newImage({ name: imageName(request.name), directory }, world);
  const origin: Origin = { kind: 'inherited', image: inherit.name };
  for (const row of settingRows) {
    // Built-in configurations have profiles of their own.
    if (row.name === 'Profiles') continue;
    if (request.name === 'tools' && targetSettings.includes(row.name)) continue;
    const handed = { row, given: inherit.resolved(row.name), origin };
    const { scope } = row.setting;
    if (scope === 'universal' || scope === 'multiversal') force(loading.values, handed);
    else if (request.name === 'tools') continue;
    else if (scope === 'inherit' || scope === 'initrd-inherit') preload(loading.values, handed);
  }
  readImage(loading, request.assignments);
  const image = finishImage(loading);
  const errors = loading.faults.filter(({ severity }) => severity === 'error');
  return errors.length > 0 ? fail(...loading.faults) : ok(image, loading.faults);
}

function loadEnvironment(request: Pick<ProjectRequest, 'environment' | 'host' | 'files'>): LoadEnvironment {
  const files = request.files ?? hostFiles;
  return { files, environment: request.environment, host: request.host ?? hostFacts(files) };
}

interface NewImage {
  readonly name: ImageName;
  readonly directory: HostPath;
}

function newImage(image: NewImage, world: LoadEnvironment): ImageLoading {
  return {
    ...image,
    world,
    values: new Map(),
    faults: [],
    included: new Set(),
    knownProfiles: new Set(),
    sources: [],
  };
}

function readImage(loading: ImageLoading, assignments: readonly CommandLineAssignment[]): void {
  const { directory, world } = loading;
  const prefix = prefixOf(world.files, directory) ?? 'mkimg';
  applyCommandLine(loading, assignments);
  includePending(loading, { directory, prefix, layer: 'files' });
  readDirectory(loading, directory, { prefix, local: true, profiles: true });
  noteUnknownProfiles(loading, prefix);
}

/** The directory itself or, where it has no configuration, its `mkimg/` or `mkosi/`. */
function projectDirectory(files: ConfigFiles, directory: HostPath): HostPath | undefined {
  const candidates = [directory, hostPath(join(directory, 'mkimg')), hostPath(join(directory, 'mkosi'))];
  return candidates.find((candidate) =>
    files.list(candidate).some((name) => {
      const [, suffix] = /^mk(?:img|osi)(\..+)$/.exec(name) ?? [];
      return suffix !== undefined && !resultSuffixes.includes(suffix);
    }),
  );
}

/** `mkimg -p systemd` needs no files, as long as the command line says what goes into the image. */
function describesAnImage(assignments: readonly CommandLineAssignment[]): boolean {
  return assignments.some(({ setting, text }) => ['Include', 'Packages'].includes(setting) && text !== '');
}

function noDirectory(directory: HostPath): ReturnType<typeof fail> {
  return fail({
    severity: 'error',
    code: 'no-directory',
    message: `there is no directory ${directory}`,
    hint: 'Check -C.',
  });
}

function noConfiguration(directory: HostPath): ReturnType<typeof fail> {
  return fail({
    severity: 'error',
    code: 'no-configuration',
    message: `no configuration found in ${directory}`,
    hint: "Run 'mkimg init' to write one, or name another directory with -C.",
  });
}
