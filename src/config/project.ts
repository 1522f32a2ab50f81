import { join } from 'node:path';
import type { HostPath, ImageName } from '../base/brand.ts';
import { hostPath, imageName } from '../base/brand.ts';
import type { Diagnostic, Result } from '../base/diagnostic.ts';
import { fail, ok } from '../base/diagnostic.ts';
import type { CommandLineAssignment } from './assignments.ts';
import { applyCommandLine } from './assignments.ts';
import { includePending, prefixOf, readDirectory } from './directory.ts';
import type { ConfigFiles } from './files.ts';
import { resultSuffixes } from './known-files.ts';
import type { LoadEnvironment } from './loading.ts';
import { newImage } from './loading.ts';
import type { ReadImages } from './images.ts';
import { readImages } from './images.ts';
import { programs } from './programs.ts';
import type { ReadingRequest } from './reading.ts';
import { distinct, reading } from './reading.ts';
import type { ResolvedImage } from './resolved-image.ts';
import type { ScannedFile } from './scanner.ts';
import { findSetting } from './settings/table.ts';
import type { BootTestDefinition } from './tests/definition.ts';

export { loadBuiltinImage } from './builtin-image.ts';
export type { CommandLineAssignment } from './assignments.ts';
export type { BuildableConfig } from './buildable.ts';
export type { Assignment, FailedCondition, FileVisit } from './history.ts';
export type { ResolvedImage } from './resolved-image.ts';
export type { ImageConfig, SettingName } from './settings/table.ts';
export type { BootTestDefinition } from './tests/definition.ts';

/** A configuration directory, read. */
export interface Project {
  /** In the order in which they are built; the main image comes last. */
  readonly images: readonly ResolvedImage[];
  /** The image that verbs act on. */
  readonly main: ResolvedImage;
  /** What ToolsTree=default stands for; absent where the main image says something else, or nothing. */
  readonly tools?: ResolvedImage;
  /** The boot tests of each image; empty unless they were asked for. */
  readonly tests: ReadonlyMap<ImageName, readonly BootTestDefinition[]>;
  readonly directory: HostPath;
  readonly warnings: readonly Diagnostic[];
  /** Configuration files that count, in the order in which they were read. */
  readonly sources: readonly HostPath[];
  /** What stands in the files that were looked at, whether they count or not. */
  readonly scans: ReadonlyMap<HostPath, ScannedFile>;
}

export interface ProjectRequest extends ReadingRequest {
  readonly directory: HostPath;
  readonly assignments: readonly CommandLineAssignment[];
  /** Whether the files in the directory count; by default, they do. */
  readonly readsDirectory?: boolean;
  /** Whether mkimg.tests/ is read, and its faults count; by default, it is not: builds do not depend on it. */
  readonly readsTests?: boolean;
}

/** Reads a project. All faults come at once. Nothing is run but by `runProgram`. */
export async function loadProject(request: ProjectRequest): Promise<Result<Project>> {
  const known = programs(request.runProgram);
  // Reading runs nothing: what needs the output of a program is read again when it is there.
  for (;;) {
    const result = reading(request, known, (world) =>
      readProject(request, {
        ...world,
        root: request.directory,
        isProjectless: request.readsDirectory === false,
      }),
    );
    if (!(await known.runPending())) return result;
  }
}

function readProject(request: ProjectRequest, world: LoadEnvironment): Result<Project> {
  if (world.files.stat(request.directory)?.directory !== true) return noDirectory(request.directory);
  const found =
    request.readsDirectory === false ? undefined : projectDirectory(world.files, request.directory);
  if (found === undefined && !describesAnImage(request.assignments))
    return noConfiguration(request.directory);
  const directory = found ?? request.directory;
  const prefix = prefixOf(world.files, directory) ?? 'mkimg';
  const main = newImage({ name: imageName('main'), role: 'main', directory, home: directory }, world);
  applyCommandLine(main, request.assignments);
  includePending(main, { directory, prefix, layer: 'files' });
  if (request.readsDirectory !== false)
    readDirectory(main, directory, { prefix, local: true, profiles: true, role: 'configuration' });
  const images = readImages(main, prefix, { readsTests: request.readsTests === true });
  const faults = distinct([...world.faults, ...images.faults]);
  if (faults.some(({ severity }) => severity === 'error')) return fail(...faults);
  return ok({ ...described(images), directory, warnings: faults, scans: world.scans }, faults);
}

function described({
  images,
  main,
  tools,
  tests,
}: ReadImages): Pick<Project, 'images' | 'main' | 'tools' | 'tests' | 'sources'> {
  const all = [...(tools === undefined ? [] : [tools]), ...images];
  const files = all.flatMap((image) => image.files).filter(({ failed }) => failed.length === 0);
  return {
    images,
    main,
    tests,
    ...(tools && { tools }),
    sources: [...new Set(files.map(({ path }) => path))],
  };
}

/** The directory itself or, where it has no configuration, its `mkimg/` or `mkosi/`. */
function projectDirectory(files: ConfigFiles, directory: HostPath): HostPath | undefined {
  const candidates = [directory, hostPath(join(directory, 'mkimg')), hostPath(join(directory, 'mkosi'))];
  const holding = (matches: (suffix: string) => boolean): HostPath | undefined =>
    candidates.find((candidate) =>
      files.list(candidate).some((name) => {
        const [, suffix] = /^mk(?:img|osi)(\..+)$/.exec(name) ?? [];
        return suffix !== undefined && matches(suffix);
      }),
    );
  return (
    holding((suffix) => mainFiles.includes(suffix)) ?? holding((suffix) => !resultSuffixes.includes(suffix))
  );
}

/** A directory that has one of these is a project before one that only has other files. */
const mainFiles = ['.conf', '.tools.conf'];

/** `mkimg -p systemd` needs no files, as long as the command line says what the image is like. */
function describesAnImage(assignments: readonly CommandLineAssignment[]): boolean {
  const telling: readonly (string | undefined)[] = ['Config', 'Distribution', 'Output', 'Content'];
  return assignments.some(
    ({ setting, text }) => text !== '' && telling.includes(findSetting(setting)?.section),
  );
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
