import type { Sha256 } from '../base/brand.ts';
import { sha256Digest } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import { byBytes, digestJson, isObject } from '../base/canonical.ts';
import { MkimgError } from '../base/errors.ts';

/** Relation fields of a package, as its control file has them. */
export const relationFields = [
  'preDepends',
  'depends',
  'provides',
  'conflicts',
  'breaks',
  'replaces',
] as const;
export type RelationField = (typeof relationFields)[number];

/** One exact package of an image. */
export interface ResolvedPackage {
  readonly name: string;
  readonly version: string;
  /** Debian's name of the architecture, or `all`. */
  readonly architecture: string;
  /** Where the file can be had; `file:` for local packages. Alternatives, best first. */
  readonly urls: readonly string[];
  /** Bytes of the package file. */
  readonly size: number;
  /** Bytes that its files take, as it says itself (Installed-Size); absent where it does not. */
  readonly installedSize?: number;
  readonly sha256: Sha256;
  /** Essential: yes. */
  readonly essential: boolean;
  /** Belongs to the set that is extracted before any maintainer script can run. */
  readonly base: boolean;
  readonly source: { readonly name: string; readonly version: string };
  readonly multiArch?: string;
  readonly relations: Readonly<Partial<Record<RelationField, string>>>;
  /** Made of the installed files of a system, for want of the package file; `sha256` is then that of the inventory. */
  readonly repacked?: RepackedFiles;
  /** Dependencies that the system it was found on does not satisfy: a package was removed by force. */
  readonly unmet?: readonly string[];
  /** Why it is there, when nobody asked for it and nothing depends on it. */
  readonly reason?: string;
}

/** How a package that is made of installed files differs from the package file. Paths without the leading slash, sorted. */
export interface RepackedFiles {
  /** Configuration files that were changed, and others that are not as the package brought them. */
  readonly modified: readonly string[];
  /** Files that are not there, documentation aside. */
  readonly missing: readonly string[];
}

/**
 * The answer of a resolution: the exact packages of an image, sorted by name and architecture. Holds nothing that changes
 * while the answer stays the same, such as dates or the state of the repositories.
 */
export interface ResolvedPackages {
  readonly format: 'mkimg-packages-1';
  readonly packages: readonly ResolvedPackage[];
}

export function byNameAndArchitecture(left: PackageId, right: PackageId): number {
  return byBytes(left.name, right.name) || byBytes(left.architecture, right.architecture);
}

export interface PackageId {
  readonly name: string;
  readonly architecture: string;
}

/** Text of the document: one package on each line, so that two of them compare well. */
export function formatResolvedPackages(packages: readonly ResolvedPackage[]): string {
  const sorted = [...packages].sort(byNameAndArchitecture);
  const lines = sorted.map((entry) => `  ${JSON.stringify(ordered(entry))}`);
  return `{"format":"mkimg-packages-1","packages":[\n${lines.join(',\n')}\n]}\n`;
}

/** What of an answer an image is made of: the packages themselves, whichever mirror they come from. */
export function packagesDigest(packages: readonly ResolvedPackage[]): Sha256 {
  return digestJson(
    [...packages].sort(byNameAndArchitecture).map((entry) => ({ ...ordered(entry), urls: undefined })),
  );
}

/** How many times larger unpacked files are, where a package does not say: what xz makes of most of them. */
const usualCompression = 4;

/** Bytes that packages take, downloaded and unpacked. */
export function installationBytes(packages: readonly ResolvedPackage[]): number {
  return packages.reduce(
    (sum, { size, installedSize = size * usualCompression }) => sum + size + installedSize,
    0,
  );
}

/** Members in a fixed order, whatever order the object was made in. */
function ordered(entry: ResolvedPackage): Readonly<Record<string, Json | undefined>> {
  return {
    name: entry.name,
    version: entry.version,
    architecture: entry.architecture,
    urls: entry.urls,
    size: entry.size,
    installedSize: entry.installedSize,
    sha256: entry.sha256,
    essential: entry.essential,
    base: entry.base,
    source: { name: entry.source.name, version: entry.source.version },
    multiArch: entry.multiArch,
    relations: Object.fromEntries(relationFields.map((field) => [field, entry.relations[field]])),
    repacked:
      entry.repacked === undefined
        ? undefined
        : { modified: entry.repacked.modified, missing: entry.repacked.missing },
    unmet: entry.unmet,
    reason: entry.reason,
  };
}

/**
 * Reads and checks a document. Names, versions and digests end up in command lines and paths, so their form is checked.
 * @throws MkimgError `resolved-packages-invalid` that says which entry is wrong.
 */
export function parseResolvedPackages(text: string): ResolvedPackages {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(`not JSON (${error instanceof Error ? error.message : String(error)})`);
  }
  if (!isObject(value) || value['format'] !== 'mkimg-packages-1' || !Array.isArray(value['packages'])) {
    throw invalid('not a document of the format mkimg-packages-1');
  }
  return {
    format: 'mkimg-packages-1',
    packages: value['packages'].map((entry: unknown, index) => parsePackage(entry, index)),
  };
}

const patterns = {
  name: /^[a-z0-9][a-z0-9+.-]*$/,
  version: /^[0-9A-Za-z][0-9A-Za-z.+:~-]*$/,
  architecture: /^[a-z0-9][a-z0-9-]*$/,
  sha256: /^[0-9a-f]{64}$/,
  multiArch: /^(no|same|foreign|allowed)$/,
};

function parsePackage(value: unknown, index: number): ResolvedPackage {
  const where = `entry ${index + 1}`;
  if (!isObject(value)) throw invalid(`${where} is not an object`);
  const field = (name: keyof typeof patterns): string => {
    const text = value[name];
    if (typeof text !== 'string' || !patterns[name].test(text)) throw invalid(`${where} has a bad ${name}`);
    return text;
  };
  const { urls, size, essential, base, source, relations } = value;
  if (!isStrings(urls) || urls.length === 0) throw invalid(`${where} has no urls`);
  if (!isBytes(size)) throw invalid(`${where} has a bad size`);
  const { installedSize } = value;
  if (!isObject(source) || typeof source['name'] !== 'string' || typeof source['version'] !== 'string') {
    throw invalid(`${where} has a bad source`);
  }
  return {
    name: field('name'),
    version: field('version'),
    architecture: field('architecture'),
    urls,
    size,
    ...(isBytes(installedSize) ? { installedSize } : {}),
    sha256: sha256Digest(field('sha256')),
    essential: essential === true,
    base: base === true,
    source: { name: source['name'], version: source['version'] },
    ...(value['multiArch'] === undefined ? {} : { multiArch: field('multiArch') }),
    relations: parseRelationFields(relations),
    ...parseMarks(value),
  };
}

function isBytes(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function parseMarks(
  value: Readonly<Record<string, unknown>>,
): Pick<ResolvedPackage, 'repacked' | 'unmet' | 'reason'> {
  const { repacked, unmet, reason } = value;
  const { modified, missing } = isObject(repacked) ? repacked : {};
  return {
    ...(isStrings(modified) && isStrings(missing) ? { repacked: { modified, missing } } : {}),
    ...(isStrings(unmet) ? { unmet } : {}),
    ...(typeof reason === 'string' ? { reason } : {}),
  };
}

function parseRelationFields(value: unknown): Partial<Record<RelationField, string>> {
  const relations: Partial<Record<RelationField, string>> = {};
  if (!isObject(value)) return relations;
  for (const field of relationFields) {
    const text = value[field];
    if (typeof text === 'string' && !text.includes('\n')) relations[field] = text;
  }
  return relations;
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function invalid(reason: string): MkimgError {
  return new MkimgError('resolved-packages-invalid', `the list of resolved packages is damaged: ${reason}`, {
    hint: 'Remove the file, or build again with -f so that packages are resolved anew.',
  });
}
