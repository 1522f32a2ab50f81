import { join, posix } from 'node:path';
import picomatch from 'picomatch';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import type { Json } from '../../base/canonical.ts';
import { byBytes, digestJson, sha256 } from '../../base/canonical.ts';
import { makeDirectory } from '../../base/files.ts';
import { temporaryDirectory } from '../../base/temporary.ts';
import { buildable } from '../../config/buildable.ts';
import type { ResolvedImage } from '../../config/project.ts';
import { architectures } from '../../distro/architectures/index.ts';
import { installedClosure } from '../../distro/host-closure.ts';
import type { ResolvedPackage } from '../../distro/resolved.ts';
import type { NewcEntry } from '../../formats/newc.ts';
import type { Piece } from '../../initrd/frames.ts';
import { packSegment } from '../../initrd/frames.ts';
import type { Segment, SegmentCache } from '../../initrd/segment-cache.ts';
import { knownSegments } from '../../initrd/segment-cache.ts';
import { divideArchive, writeDigested } from '../../initrd/split.ts';
import type { Compression } from '../../plan/vocabulary.ts';
import type { VerbContext } from '../verb.ts';
import { packagesWithoutProfiles } from './part-settings.ts';

/** The whole that packages come to, before it is divided. */
export interface BaseContent {
  /** Uncompressed. */
  readonly archive: HostPath;
  readonly packages: readonly ResolvedPackage[];
  /** Paths by name of package. */
  readonly owners: Readonly<Record<string, readonly string[]>>;
}

interface Workplace {
  readonly version: string;
  readonly segments: SegmentCache;
  readonly cache: HostPath;
  readonly context: VerbContext;
}

/**
 * Divides what packages come to into the part `base`, files of packages as they came, and the part `profile`: packages of
 * profiles, and what is made of all packages together. Each is keyed by its bytes, so that a profile more leaves the base as
 * it is.
 */
export async function baseParts(
  content: BaseContent & { readonly image: ResolvedImage; readonly compression: Compression },
  { version, segments, cache, context }: Workplace,
): Promise<readonly Segment[]> {
  const { packages, owners, image, compression } = content;
  const basePackages = packagesOfBase(packages, image);
  const isOfBase = filesOfBase(basePackages, content, image);
  const groups = compression.algorithm === 'zstd' ? groupCount : 1;
  const groupOf = packageGroups(basePackages, content, groups);
  const divided = divideArchive(content.archive, groups + 1, (path) =>
    isOfBase(path) ? groupOf(path) : groups,
  );
  const drafts = [
    {
      role: 'base',
      archives: divided.slice(0, groups),
      packages: packages.filter((entry) => basePackages.has(entry)),
    },
    {
      role: 'profile',
      archives: divided.slice(groups),
      packages: packages.filter((entry) => !basePackages.has(entry)),
    },
  ] as const;
  await using scratch = await temporaryDirectory(cache, '.base-');
  const made: Segment[] = [];
  for (const { role, archives, packages: own } of drafts) {
    const pieces = await writePieces(archives, hostPath(join(scratch.path, role)));
    if (pieces.length === 0) continue;
    const digests = pieces.map(({ digest }) => digest);
    const segment = await segments.obtain({
      role,
      key: digestJson({ digests, compression: { ...compression }, packages: own.map(packageJson), version }),
      write: async (files) => {
        const earlier = await knownSegments(cache, ['base', 'profile']);
        const packing = await packSegment({ pieces, compression, earlier }, files, context);
        return { packages: own.map(packageJson), owners: ownersOf(own, owners), packing };
      },
    });
    made.push(segment);
  }
  return made;
}

async function writePieces(
  archives: readonly (readonly NewcEntry[])[],
  directory: HostPath,
): Promise<readonly Piece[]> {
  await makeDirectory(directory, 0o700);
  const pieces: Piece[] = [];
  for (const [index, entries] of archives.entries()) {
    if (entries.length === 0) continue;
    const archive = hostPath(join(directory, String(index)));
    pieces.push({ archive, entries, digest: await writeDigested(entries, archive) });
  }
  return pieces;
}

/**
 * The base is compressed in so many pieces, so that with another version of a package only one of them is compressed anew.
 * Eight take no more room than one.
 */
const groupCount = 8;

/** Puts the files of a package into the same group, whatever other packages there are. */
function packageGroups(
  packages: ReadonlySet<ResolvedPackage>,
  { owners }: BaseContent,
  count: number,
): (path: string) => number {
  const groups = new Map<string, number>();
  // Of a directory, the first one decides that has it.
  const names = [...packages].map(({ name }) => name).sort(byBytes);
  for (const name of names.reverse()) {
    const group = Number.parseInt(sha256(name).slice(0, 8), 16) % count;
    for (const path of owners[name] ?? []) groups.set(path, group);
  }
  return (path) => groups.get(path) ?? 0;
}

/** What Packages= comes to without the packages of profiles. */
function packagesOfBase(
  packages: readonly ResolvedPackage[],
  image: ResolvedImage,
): ReadonlySet<ResolvedPackage> {
  const { Architecture: architecture, WithRecommends: recommends } = buildable(image.config);
  const items = packagesWithoutProfiles(image);
  const closure = installedClosure(packages, {
    items,
    native: architectures[architecture].names.debian,
    recommends,
  });
  return new Set(closure.packages);
}

/**
 * Whether a path belongs into the base. Libraries that go where nothing uses them do not, because a profile may use them;
 * where nobody knows which package brings what, everything does.
 */
function filesOfBase(
  packages: ReadonlySet<ResolvedPackage>,
  { owners }: BaseContent,
  image: ResolvedImage,
): (path: string) => boolean {
  const owned = new Set([...packages].flatMap(({ name }) => owners[name] ?? []));
  if (owned.size === 0) return () => true;
  const patterns = [...image.config.RemoveUnusedLibraries];
  const mayGo = picomatch(patterns, { dot: true, nobrace: true, noextglob: true, nonegate: true });
  return (path) => owned.has(path) && !(patterns.length > 0 && mayGo(posix.basename(path)));
}

function ownersOf(packages: readonly ResolvedPackage[], owners: BaseContent['owners']): Json {
  return Object.fromEntries(packages.map(({ name }) => [name, [...(owners[name] ?? [])]]));
}

/** As the manifest tells of a package. */
function packageJson({
  name,
  version,
  architecture,
  sha256,
  repacked,
  reason,
  unmet,
}: ResolvedPackage): Json {
  return {
    ...{ name, version, architecture, sha256 },
    ...(reason === undefined ? {} : { reason }),
    ...(unmet === undefined ? {} : { unmet: [...unmet] }),
    ...(repacked === undefined
      ? {}
      : { installed: { modified: [...repacked.modified], missing: [...repacked.missing] } }),
  };
}
