import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import type { Diagnostic } from '../base/diagnostic.ts';
import { closest } from '../base/suggestion.ts';
import { applyLine } from './assignments.ts';
import { fileCounts } from './conditions.ts';
import type { ConfigFiles } from './files.ts';
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
}

/** The prefix of a configuration directory's files: `mkimg` if one file has it, else `mkosi` if one has that. */
export function prefixOf(files: ConfigFiles, directory: HostPath): Prefix | undefined {
  const names = files.list(directory);
  return (['mkimg', 'mkosi'] as const).find((prefix) => names.some((name) => name.startsWith(`${prefix}.`)));
}

/**
 * Reads a configuration directory: its local files, the files that count by their names, mkimg.conf, mkimg.conf.d/ and
 * profiles. If the conditions in mkimg.conf do not hold, nothing of the directory counts.
 */
export function readDirectory(loading: ImageLoading, directory: HostPath, options: DirectoryOptions): void {
  const prefix = prefixOf(loading.world.files, directory) ?? options.prefix;
  const position: Position = { directory, prefix, layer: options.layer ?? 'files' };
  const main = scanFile(loading, named(position, '.conf'));
  if (main !== undefined && !fileCounts(loading, main, position)) return;
  if (options.local === true) readLocal(loading, position);
  noteUnusedFiles(loading, position);
  applyImplicitFiles(loading, position);
  if (main !== undefined) applyFile(loading, main, position);
  readDropIns(loading, position);
  if (options.profiles === true) readProfiles(loading, position);
}

/** Reads what Include= names and was not read yet: each file or directory counts once for an image. */
export function includePending(loading: ImageLoading, position: Position): void {
  const { files } = loading.world;
  for (const path of currentValue(loading, 'Include') as readonly HostPath[]) {
    const real = files.realPath(path);
    if (loading.included.has(real)) continue;
    loading.included.add(real);
    if (files.stat(path)?.directory === true) {
      readDirectory(loading, path, { prefix: position.prefix, profiles: true, layer: position.layer });
    } else {
      readFile(loading, path, position);
    }
  }
}

function readLocal(loading: ImageLoading, position: Position): void {
  const local = { ...position, layer: 'local' } as const;
  readFile(loading, named(position, '.local.conf'), local);
  const directory = named(position, '.local');
  if (loading.world.files.stat(directory)?.directory === true) {
    readDirectory(loading, directory, { prefix: position.prefix, layer: 'local' });
  }
}

function readDropIns(loading: ImageLoading, position: Position): void {
  const { files } = loading.world;
  const directory = named(position, '.conf.d');
  for (const name of files.list(directory)) {
    const path = hostPath(join(directory, name));
    if (files.stat(path)?.directory === true) {
      readDirectory(loading, path, { prefix: position.prefix, layer: position.layer });
    } else if (name.endsWith('.conf')) {
      readFile(loading, path, position);
    }
  }
}

function readProfiles(loading: ImageLoading, position: Position): void {
  const { files } = loading.world;
  for (const profile of currentValue(loading, 'Profiles') as readonly string[]) {
    const directory = named(position, `.profiles/${profile}`);
    const file = hostPath(`${directory}.conf`);
    if (files.stat(directory)?.directory === true) {
      loading.knownProfiles.add(profile);
      readDirectory(loading, directory, { prefix: position.prefix, layer: position.layer });
    }
    if (files.stat(file) !== undefined) loading.knownProfiles.add(profile);
    readFile(loading, file, position);
  }
}

/** Notes profiles that are on and that nothing is about: neither a file nor a condition. */
export function noteUnknownProfiles(loading: ImageLoading, prefix: Prefix): void {
  const { files } = loading.world;
  const directory = named({ directory: loading.directory, prefix }, '.profiles');
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

function named({ directory, prefix }: Pick<Position, 'directory' | 'prefix'>, suffix: string): HostPath {
  return hostPath(join(directory, `${prefix}${suffix}`));
}

/** Reads a file if it is there. */
function readFile(loading: ImageLoading, path: HostPath, position: Position): void {
  const file = scanFile(loading, path);
  if (file !== undefined && fileCounts(loading, file, position)) applyFile(loading, file, position);
}

function scanFile(loading: ImageLoading, path: HostPath): ScannedFile | undefined {
  const { files } = loading.world;
  const facts = files.stat(path);
  if (facts === undefined || facts.directory) return undefined;
  loading.sources.push(path);
  const file = scan(path, files.read(path));
  loading.faults.push(...file.faults);
  return file;
}

function applyFile(loading: ImageLoading, file: ScannedFile, position: Position): void {
  for (const section of file.sections) {
    if (section.name === '' || conditionSections.some((name) => name === section.name)) continue;
    const name = findSection(section.name);
    if (name === undefined) {
      loading.faults.push(unknownSection(section));
      continue;
    }
    for (const line of section.assignments) {
      const row = applyLine(loading, line, { file: file.path, position, section: name });
      if (row?.name === 'Include') includePending(loading, position);
    }
  }
}

function unknownSection({ name, origin }: ScannedSection): Diagnostic {
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
