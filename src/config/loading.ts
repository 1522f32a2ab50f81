import type { HostPath, ImageName } from '../base/brand.ts';
import type { Diagnostic, Result } from '../base/diagnostic.ts';
import type { Entry, ParseContext } from './codec.ts';
import type { ConfigFiles } from './files.ts';
import type { Assignment, FileVisit } from './history.ts';
import type { Programs } from './programs.ts';
import type { ScannedFile } from './scanner.ts';
import type { FallbackContext, HostFacts } from './setting.ts';
import type { SettingName } from './settings/table.ts';
import { settingRow } from './settings/table.ts';
import type { LayerName, Values } from './values.ts';
import { newValues, resolve } from './values.ts';

/** First part of the names of configuration files. With `mkosi`, unknown settings are remarks instead of faults. */
export type Prefix = 'mkimg' | 'mkosi';

/** What is the same for all images of a project. */
export interface LoadEnvironment {
  readonly files: ConfigFiles;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly host: HostFacts;
  readonly programs: Programs;
  /** Where the configuration sets are that mkimg brings along. */
  readonly sets: HostPath;
  /** What -C says: the project's directory, or the one above where its files are in `mkimg/` or `mkosi/`. */
  readonly root?: HostPath;
  /** No project's files are read, only what the command line says. */
  readonly isProjectless?: boolean;
  /** Files that were read; several images may include the same ones. */
  readonly scans: Map<HostPath, ScannedFile>;
  /** Faults that belong to no image. */
  readonly faults: Diagnostic[];
}

/** What an image is in its project; it decides which settings its files may set. */
export type ImageRole = 'main' | 'subimage' | 'default-initrd' | 'tools';

/** An image while its configuration is being read. Values, faults and the lists of files grow as reading goes on. */
export interface ImageLoading {
  readonly name: ImageName;
  readonly role: ImageRole;
  /** The project's directory. */
  readonly directory: HostPath;
  /** The directory or file that describes this image. */
  readonly home: HostPath;
  readonly world: LoadEnvironment;
  readonly values: Values;
  readonly faults: Diagnostic[];
  /** Real paths of what Include= read: each is read once. */
  readonly included: Set<string>;
  /** Real paths of the files and directories that are being read now, the outermost first. */
  readonly open: string[];
  /** Profiles that have a file or that a condition asked for. */
  readonly knownProfiles: Set<string>;
  /** All assignments in the order of reading. */
  readonly history: Assignment[];
  /** Configuration files in the order in which they were found. */
  readonly visits: FileVisit[];
}

export type NewImage = Pick<ImageLoading, 'name' | 'role' | 'directory' | 'home'>;

export function newImage(image: NewImage, world: LoadEnvironment): ImageLoading {
  return {
    ...image,
    world,
    values: newValues(),
    faults: [],
    included: new Set(),
    open: [],
    knownProfiles: new Set(),
    history: [],
    visits: [],
  };
}

/** Where in the configuration reading stands. */
export interface Position {
  /** The configuration directory being read; relative paths count from here. */
  readonly directory: HostPath;
  readonly prefix: Prefix;
  readonly layer: LayerName;
}

export function parseContext(loading: ImageLoading, directory: HostPath): ParseContext {
  return { directory, files: loading.world.files, environment: loading.world.environment };
}

export function fallbackContext(loading: ImageLoading): FallbackContext {
  const { name: image, directory, world } = loading;
  const { host, environment, isProjectless } = world;
  return {
    ...{ image, directory: world.root ?? directory, configuration: directory, host, environment },
    ...(isProjectless === true && { isProjectless }),
  };
}

/** Value of a setting as things stand. */
export function currentValue(loading: ImageLoading, name: SettingName): unknown {
  return resolve(loading.values, settingRow(name), fallbackContext(loading)).value;
}

/** The items of a setting as things stand; none for a default. */
export function currentEntries(loading: ImageLoading, name: SettingName): readonly Entry<unknown>[] {
  return resolve(loading.values, settingRow(name), fallbackContext(loading)).entries;
}

/** Notes the faults and remarks of a result; gives its value, if there is one. */
export function take<T>(loading: ImageLoading, result: Result<T>): T | undefined {
  loading.faults.push(...(result.ok ? result.warnings : result.diagnostics));
  return result.ok ? result.value : undefined;
}
