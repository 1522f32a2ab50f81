import type { HostPath } from '../base/brand.ts';
import type { Origin } from '../base/diagnostic.ts';
import type { Entry } from './codec.ts';
import type { SettingName } from './settings/table.ts';
import type { LayerName } from './values.ts';

/** One assignment that an image's configuration made, in the order of reading; later ones of a layer win over earlier ones. */
export interface Assignment {
  readonly setting: SettingName;
  readonly layer: LayerName;
  /**
   * - `set`: a value, or further items of a collection;
   * - `clear`: an empty assignment, which drops what stood before in this layer and in weaker ones;
   * - `handed-down`: the value of another image to start from;
   * - `forced`: the value of another image, which decides.
   */
  readonly kind: 'set' | 'clear' | 'handed-down' | 'forced';
  /** The place of the value; of the name, where the value is empty. */
  readonly origin: Origin;
  /** As written, specifiers replaced; undefined for secrets and for what came without text (files, other images). */
  readonly text: string | undefined;
  /** The items that it gave, with a place for each; secrets in clear. */
  readonly entries: readonly Entry<unknown>[];
}

/** Why a configuration file was looked at. */
export type FileRole =
  | 'configuration'
  | 'drop-in'
  | 'local'
  | 'profile'
  | 'include'
  | 'subimage'
  | 'tools'
  | 'initrd'
  | 'built-in';

/** A configuration file that was found, whether it counted or not. */
export interface FileVisit {
  readonly path: HostPath;
  readonly role: FileRole;
  /** The configuration directory that was being read: relative paths count from here. */
  readonly directory: HostPath;
  readonly layer: LayerName;
  /** The file is the mkimg.conf of `directory`: if it does not count, nothing of the directory does. */
  readonly decidesForDirectory: boolean;
  /** Empty where the file counted. */
  readonly failed: readonly FailedCondition[];
}

/** The file belongs to a set of configuration that mkimg brings along, also as one of its drop-ins or profiles. */
export function isBuiltIn(visit: FileVisit, visits: readonly FileVisit[]): boolean {
  return visits.some(
    ({ role, decidesForDirectory, directory }) =>
      role === 'built-in' && decidesForDirectory && visit.path.startsWith(`${directory}/`),
  );
}

/** A condition that did not hold, and so kept a file from counting. */
export interface FailedCondition {
  readonly section: string;
  readonly key: string;
  /** As written, with `|` and `!`, specifiers replaced. */
  readonly wanted: string;
  /** The value as it stood when the condition was looked at; undefined where it is no value or was unset. */
  readonly actual: string | undefined;
  readonly origin: Origin;
}
