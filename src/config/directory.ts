import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import type { Diagnostic, Origin } from '../base/diagnostic.ts';
import { closest } from '../base/suggestion.ts';
import { applyLine } from './assignments.ts';
import { dropInsOf, findSet } from './builtin-sets.ts';
import { failedConditions } from './conditions.ts';
import type { ConfigFiles } from './files.ts';
import type { FileRole } from './history.ts';
import { applyImplicitFiles } from './implicit.ts';
import { noteUnusedFiles } from './known-files.ts';
import type { ImageLoading, Position, Prefix } from './loading.ts';
import { currentEntries, currentValue } from './loading.ts';
import type { ScannedFile, ScannedSection } from './scanner.ts';
import { scan } from './scanner.ts';
import { conditionSections, findSection, sectionNames } from './settings/table.ts';
import type { LayerName } from './values.ts';

export interface DirectoryOptions {
  /** Taken for directories that have no file with a prefix of their own. */
  readonly prefix: Prefix;
  /** Read mkimg.local.conf and mkimg.local/. */
  readonly local?: boolean;
  /** Read the profiles that are on. */
  readonly profiles?: boolean;
  readonly layer?: LayerName;
  /** Why the directory is read. */
  readonly role: FileRole;
}

/** The prefix of a configuration directory's files: `mkimg` if one file has it, else `mkosi` if one has that. */
export function prefixOf(files: ConfigFiles, directory: HostPath): Prefix | undefined {
  const names = files.list(directory);
  return (['mkimg', 'mkosi'] as const).find((prefix) => names.some((name) => name.startsWith(`${prefix}.`)));
}

/**
 * Reads a configuration directory: its local files, the files that count by their names, mkimg.conf, mkimg.conf.d/ and
 * profiles. If the conditions in mkimg.conf do not hold, nothing of the directory counts, and the answer is false.
 */
export function readDirectory(
  loading: ImageLoading,
  directory: HostPath,
  options: DirectoryOptions,
): boolean {
  const { files } = loading.world;
  const prefix = prefixOf(files, directory) ?? options.prefix;
  const position: Position = { directory, prefix, layer: options.layer ?? 'files' };
  return enter(loading, directory, () => {
    const path = named(position, '.conf');
    const main = scanFile(loading, path);
    if (main !== undefined && !counts(loading, main, { position, role: options.role, decides: true }))
      return false;
    if (options.local === true) readLocal(loading, position);
    noteUnusedFiles(loading, position);
    applyImplicitFiles(loading, position);
    if (main !== undefined) enter(loading, path, () => applyFile(loading, main, position));
    readDropIns(loading, position);
    if (options.profiles === true) readProfiles(loading, position);
    return true;
  });
}

/** Reads a file if it is there; false when its conditions do not hold. */
export function readFile(
  loading: ImageLoading,
  path: HostPath,
  { position, role }: { readonly position: Position; readonly role: FileRole },
): boolean {
  const file = scanFile(loading, path);
  if (file === undefined) return true;
  if (!counts(loading, file, { position, role, decides: false })) return false;
  enter(loading, path, () => applyFile(loading, file, position));
  return true;
}

/** Reads what Include= names and was not read yet: each file or directory counts once for an image. */
export function includePending(loading: ImageLoading, position: Position): void {
  const { files } = loading.world;
  for (const { value, origin } of currentEntries(loading, 'Include')) {
    const given = value as string;
    const set = findSet(given, loading.world.sets);
    const path = set ?? hostPath(given);
    const real = files.realPath(path);
    if (loading.included.has(real)) continue;
    loading.included.add(real);
    if (loading.open.includes(real)) {
      loading.faults.push(includeLoop(path, origin, position.prefix));
    } else if (files.stat(path)?.directory === true) {
      const { prefix, layer } = position;
      const role = set === undefined ? 'include' : 'built-in';
      readDirectory(loading, path, { prefix, profiles: true, layer, role });
    } else {
      readFile(loading, path, { position, role: 'include' });
    }
  }
}

function readLocal(loading: ImageLoading, position: Position): void {
  const { prefix } = position;
  const directory = named(position, '.local');
  if (loading.world.files.stat(directory)?.directory === true)
    readDirectory(loading, directory, { prefix, layer: 'local directory', role: 'local' });
  const local = { ...position, layer: 'local' } as const;
  readFile(loading, named(position, '.local.conf'), { position: local, role: 'local' });
}

function readDropIns(loading: ImageLoading, position: Position): void {
  const { files } = loading.world;
  const { prefix, layer } = position;
  const directory = named(position, '.conf.d');
  for (const name of files.list(directory)) {
    const path = hostPath(join(directory, name));
    if (files.stat(path)?.directory === true) {
      readDirectory(loading, path, { prefix, layer, role: 'drop-in' });
    } else if (name.endsWith('.conf') && name !== '.conf') {
      readFile(loading, path, { position, role: 'drop-in' });
    }
  }
}

function readProfiles(loading: ImageLoading, position: Position): void {
  const { files } = loading.world;
  const { prefix, layer } = position;
  const home = profilesOf(loading, position);
  for (const profile of currentValue(loading, 'Profiles') as readonly string[]) {
    const directory = hostPath(join(home, profile));
    const file = hostPath(`${directory}.conf`);
    if (files.stat(directory)?.directory === true) {
      loading.knownProfiles.add(profile);
      readDirectory(loading, directory, { prefix, layer, role: 'profile' });
    }
    if (files.stat(file) === undefined) continue;
    loading.knownProfiles.add(profile);
    readFile(loading, file, { position, role: 'profile' });
  }
}

function profilesOf({ world }: ImageLoading, place: Pick<Position, 'directory' | 'prefix'>): HostPath {
  return dropInsOf(place.directory, world.sets) ?? named(place, '.profiles');
}

/** Notes profiles that are on and that nothing is about: neither a file nor a condition. */
export function noteUnknownProfiles(loading: ImageLoading, prefix: Prefix): void {
  const { files } = loading.world;
  const directory = profilesOf(loading, { directory: loading.directory, prefix });
  const known = [
    ...files.list(directory).map((name) => name.replace(/\.conf$/, '')),
    ...loading.knownProfiles,
  ];
  for (const { value, origin } of currentEntries(loading, 'Profiles')) {
    const profile = value as string;
    if (loading.knownProfiles.has(profile)) continue;
    const near = closest(profile, known);
    loading.faults.push({
      severity: 'warning',
      code: 'unknown-profile',
      message: `profile '${profile}' changes nothing: no file has its name and no condition asks for it`,
      origin,
      hint: near === undefined ? `Profiles are files in ${directory}.` : `Did you mean '${near}'?`,
    });
  }
}

/** A file or directory of a configuration directory. */
export function named(
  { directory, prefix }: Pick<Position, 'directory' | 'prefix'>,
  suffix: string,
): HostPath {
  return hostPath(join(directory, `${prefix}${suffix}`));
}

/** Does something with a file or directory that is then known to be open. A directory within itself is not read again. */
function enter<T>(loading: ImageLoading, path: HostPath, read: () => T): T | true {
  const real = loading.world.files.realPath(path);
  if (loading.open.includes(real)) {
    loading.faults.push({
      severity: 'error',
      code: 'configuration-loop',
      message: `${path} contains itself through a symbolic link`,
      origin: { kind: 'path', path },
      hint: 'Remove the link.',
    });
    return true;
  }
  loading.open.push(real);
  try {
    return read();
  } finally {
    loading.open.pop();
  }
}

interface Visit {
  readonly position: Position;
  readonly role: FileRole;
  readonly decides: boolean;
}

/** Judges the conditions of a file and notes that it was looked at. */
function counts(loading: ImageLoading, file: ScannedFile, { position, role, decides }: Visit): boolean {
  const failed = failedConditions(loading, file, position);
  const { directory, layer } = position;
  loading.visits.push({ path: file.path, role, directory, layer, decidesForDirectory: decides, failed });
  return failed.length === 0;
}

function scanFile(loading: ImageLoading, path: HostPath): ScannedFile | undefined {
  const { files, scans } = loading.world;
  const facts = files.stat(path);
  if (facts === undefined) return undefined;
  if (facts.directory) {
    loading.faults.push(isDirectory(path));
    return undefined;
  }
  const known = scans.get(path);
  if (known !== undefined) return known;
  const file = scan(path, files.read(path));
  scans.set(path, file);
  loading.faults.push(...file.faults);
  return file;
}

function isDirectory(path: HostPath): Diagnostic {
  return {
    severity: 'error',
    code: 'not-a-file',
    message: 'it is a directory where a file is expected',
    origin: { kind: 'path', path },
    hint: 'Directories of settings have other names: mkimg.conf.d/, mkimg.local/, mkimg.profiles/.',
  };
}

function applyFile(loading: ImageLoading, file: ScannedFile, position: Position): void {
  for (const section of file.sections) {
    if (section.name === '' || conditionSections.some((name) => name === section.name)) continue;
    if (findSection(section.name) === undefined) {
      loading.faults.push(unknownSection(section));
      continue;
    }
    for (const line of section.assignments) {
      const row = applyLine(loading, line, { file: file.path, position, section: section.name });
      if (row?.name === 'Include') includePending(loading, position);
    }
  }
}

function includeLoop(path: HostPath, origin: Origin, prefix: Prefix): Diagnostic {
  return {
    severity: prefix === 'mkosi' ? 'warning' : 'error',
    code: 'include-loop',
    message: `${path} includes itself`,
    origin,
    hint: 'It is being read already; remove the line.',
  };
}

/** A section that no file can have. */
export function unknownSection({ name, origin }: ScannedSection): Diagnostic {
  const known = [...sectionNames, ...conditionSections];
  const near = closest(name, known);
  return {
    severity: 'error',
    code: 'unknown-section',
    message: `unknown section [${name}]`,
    origin,
    hint:
      near === undefined
        ? `Known: ${known.map((section) => `[${section}]`).join(' ')}.`
        : `Did you mean [${near}]?`,
  };
}
