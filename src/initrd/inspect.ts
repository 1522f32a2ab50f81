import type { Sha256 } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import { byBytes, isObject } from '../base/canonical.ts';
import type { ByteSource } from '../formats/bytes.ts';
import type { InitrdFault } from '../formats/initrd.ts';
import { fileType } from '../formats/newc.ts';
import type { MissingLibrary } from './inspect-libraries.ts';
import { missingLibraries } from './inspect-libraries.ts';
import type { FirmwareReport, ModuleReport } from './inspect-modules.ts';
import { inspectModules } from './inspect-modules.ts';
import type { InitrdReport, SegmentReport } from './check.ts';
import type { InitrdNodes, UnpackedSegment } from './contents.ts';
import { initrdMeasurement } from './measurement.ts';
import type { KnownSegment, SegmentRole } from './segment-cache.ts';

/** What an initrd consists of, and why. */
export interface Inspection {
  /** What the kernel extends PCR 9 with when it loads this initrd, and nothing is added to it on the way. */
  readonly measurement: Sha256;
  readonly parts: readonly PartReport[];
  /** The largest first; empty where the cache does not know the initrd. */
  readonly packages: readonly PackageShare[];
  /** The largest first. */
  readonly files: readonly FileReport[];
  readonly modules: readonly ModuleReport[];
  readonly firmware: readonly FirmwareReport[];
  /** What `mkimg initrd check` says. */
  readonly faults: readonly InitrdFault[];
  /** Libraries that programs would open and that are not there. */
  readonly missingLibraries: readonly MissingLibrary[];
}

export interface PartReport extends SegmentReport {
  /** What it is to mkimg; undefined for what mkimg did not make, or does not remember. */
  readonly role?: SegmentRole;
}

export interface PackageShare {
  readonly name: string;
  readonly version: string;
  readonly files: number;
  /** Of its files as they are in the initrd, before compression. */
  readonly bytes: number;
  /** It was put together from the files that were installed; the package itself was not to be had. */
  readonly isRepacked?: true;
  /** Why it came along without being asked for. */
  readonly reason?: string;
}

export interface FileReport {
  readonly path: string;
  readonly bytes: number;
  /** Its other names, where it has several. */
  readonly links?: readonly string[];
  /** Index of the part that it comes from. */
  readonly part: number;
}

export interface InspectionRequest {
  /** The initrd as a whole. */
  readonly initrd: ByteSource;
  readonly report: InitrdReport;
  /** Of the same parts as the report. */
  readonly archives: readonly UnpackedSegment[];
  /** What the cache knows of the part at an index. */
  readonly known: ReadonlyMap<number, KnownSegment>;
}

/** Puts together what the files of an initrd say of themselves, and what is remembered of how it was made. */
export async function inspect({ initrd, report, archives, known }: InspectionRequest): Promise<Inspection> {
  const { nodes } = report;
  // A segment may be several archives.
  const contents = [...new Set(known.values())].map(({ content }) => content);
  const parts = report.segments.map((segment, index) => {
    const role = known.get(index)?.role;
    return { ...segment, ...(role === undefined ? {} : { role }) };
  });
  return {
    measurement: initrdMeasurement(initrd),
    parts,
    faults: report.faults,
    packages: packageShares(nodes, contents),
    files: filesBySize(nodes),
    ...(await inspectModules({ nodes, archives, contents })),
    missingLibraries: missingLibraries(nodes, archives),
  };
}

function filesBySize(nodes: InitrdNodes): readonly FileReport[] {
  const files = new Map<string, { path: string; bytes: number; links: string[]; part: number }>();
  for (const [path, { type, member, segment }] of [...nodes].sort(([left], [right]) =>
    byBytes(left, right),
  )) {
    if (type !== fileType.regular) continue;
    // Names of one file share their content, wherever in the archive that is.
    const isLinked = member.nlink > 1 && member.size > 0;
    const identity = isLinked ? `${segment}:${member.dataOffset}` : `/${path}`;
    const known = files.get(identity);
    if (known === undefined) files.set(identity, { path, bytes: member.size, links: [], part: segment });
    else known.links.push(path);
  }
  return [...files.values()]
    .map(({ links, ...file }) => (links.length === 0 ? file : { ...file, links }))
    .sort((left, right) => right.bytes - left.bytes || byBytes(left.path, right.path));
}

function packageShares(nodes: InitrdNodes, contents: readonly Json[]): readonly PackageShare[] {
  const shares: PackageShare[] = [];
  for (const content of contents) {
    if (!isObject(content) || !Array.isArray(content['packages'])) continue;
    const { owners } = content;
    for (const entry of content['packages']) {
      if (!isObject(entry)) continue;
      const [name, version] = [String(entry['name']), String(entry['version'])];
      const owned = isObject(owners) && Array.isArray(owners[name]) ? owners[name].map(String) : [];
      const sizes = owned.flatMap((path) => {
        const node = nodes.get(path);
        return node?.type === fileType.regular ? [node.member.size] : [];
      });
      const bytes = sizes.reduce((sum, size) => sum + size, 0);
      const { installed, reason } = entry;
      shares.push({
        ...{ name, version, files: sizes.length, bytes },
        ...(installed === undefined ? {} : { isRepacked: true }),
        ...(typeof reason === 'string' ? { reason } : {}),
      });
    }
  }
  return shares.sort((left, right) => right.bytes - left.bytes || byBytes(left.name, right.name));
}
