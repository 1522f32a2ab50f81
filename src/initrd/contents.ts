import { MkimgError } from '../base/errors.ts';
import type { ByteSource } from '../formats/bytes.ts';
import type { InitrdFault, InitrdSegment } from '../formats/initrd.ts';
import { fileType } from '../formats/newc.ts';
import type { NewcMember } from '../formats/newc-reader.ts';
import { memberData, readNewc } from '../formats/newc-reader.ts';

/** A segment whose archive can be read. */
export interface UnpackedSegment extends InitrdSegment {
  readonly archive: ByteSource;
  /** Where the archive begins in `archive`. */
  readonly start: number;
}

/** What the kernel has at a path after all segments are unpacked. */
export interface InitrdNode {
  /** One of `fileType`. */
  readonly type: number;
  readonly member: NewcMember;
  /** Index of the segment that it comes from. */
  readonly segment: number;
  /** Of a symbolic link. */
  readonly target?: string;
}

/** By path, without a leading slash or `./`, bytes as latin1. */
export type InitrdNodes = ReadonlyMap<string, InitrdNode>;

export interface InitrdContents {
  readonly nodes: InitrdNodes;
  readonly faults: readonly InitrdFault[];
}

/**
 * Follows the kernel through all segments (init/initramfs.c): what is there in the end, and where it would fail without a
 * word. It makes no missing directories, follows symbolic links in the middle of paths, and removes what has another type.
 */
export function readContents(segments: readonly UnpackedSegment[]): InitrdContents {
  const nodes = new Map<string, InitrdNode>();
  const faults: InitrdFault[] = [];
  segments.forEach((segment, index) => {
    const found = segmentFaults({ segment, index }, nodes);
    faults.push(...found.map((fault) => ({ ...fault, offset: segment.offset })));
  });
  return { nodes, faults: [...faults, ...wholeFaults(nodes, segments)] };
}

/** Adds the members of one segment to `nodes`. */
function segmentFaults(
  { segment, index }: { readonly segment: UnpackedSegment; readonly index: number },
  nodes: Map<string, InitrdNode>,
): readonly InitrdFault[] {
  const faults: InitrdFault[] = [];
  const seen = new Set<string>();
  try {
    for (const member of readNewc(segment.archive, segment.start, 'kernel')) {
      const path = plainPath(member);
      if (path === '' || path === '.') continue;
      const node = { ...nodeOf(member, segment.archive), segment: index };
      if (seen.has(path)) faults.push(warning(`${path} stands twice in one archive`));
      seen.add(path);
      faults.push(...nodeFaults(path, node, nodes));
      nodes.set(path, node);
    }
  } catch (fault) {
    if (!(fault instanceof MkimgError)) throw fault;
    faults.push(error(fault.message));
  }
  return faults;
}

function plainPath({ path }: NewcMember): string {
  return path
    .toString('latin1')
    .replace(/^(?:\.?\/)+/, '')
    .replace(/\/+$/, '');
}

function nodeOf(member: NewcMember, archive: ByteSource): Omit<InitrdNode, 'segment'> {
  const type = member.mode & fileType.mask;
  if (type !== fileType.symlink) return { type, member };
  return { type, member, target: memberData(archive, member).toString('latin1') };
}

function nodeFaults(path: string, node: InitrdNode, nodes: InitrdNodes): readonly InitrdFault[] {
  const faults: InitrdFault[] = [];
  if (path.split('/').includes('..')) faults.push(error(`${path} leads upwards`));
  const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')));
  if (!isDirectory(parent, nodes))
    faults.push(error(`${path} comes without its directory ${parent}/ before it`));
  const maximumTarget = 4096;
  if (node.type === fileType.symlink && node.member.size > maximumTarget)
    faults.push(error(`the link ${path} has a target of more than ${maximumTarget} bytes`));
  const hasBody = node.type === fileType.symlink || node.type === fileType.regular;
  if (!hasBody && node.member.size > 0)
    faults.push(error(`${path} has data, but is no regular file; the kernel skips it`));
  return [...faults, ...conflicts(path, node, nodes)];
}

/** What the kernel does where something of another type is there already (clean_path in init/initramfs.c). */
function conflicts(path: string, node: InitrdNode, nodes: InitrdNodes): readonly InitrdFault[] {
  const known = nodes.get(path);
  if (known === undefined || known.type === node.type) return [];
  if (node.type === fileType.directory)
    return [error(`the directory ${path}/ takes the place of ${typeName(known.type)}`)];
  if (known.type !== fileType.directory) return [];
  const prefix = `${path}/`;
  const isEmpty = ![...nodes.keys()].some((other) => other.startsWith(prefix));
  return isEmpty
    ? []
    : [error(`${typeName(node.type)} ${path} cannot replace a directory that is not empty`)];
}

function typeName(type: number): string {
  switch (type) {
    case fileType.symlink:
      return 'a symbolic link';
    case fileType.regular:
      return 'a file';
    default:
      return 'a special file';
  }
}

/** What the kernel itself puts there first (usr/default_cpio_list). */
const builtinDirectories: readonly string[] = ['', 'dev', 'root'];

function isDirectory(path: string, nodes: InitrdNodes): boolean {
  const place = followLinks(path, nodes);
  if (place === undefined) return false;
  return builtinDirectories.includes(place) || nodes.get(place)?.type === fileType.directory;
}

/** The path with its symbolic links followed within the initrd; undefined when they lead in circles. */
export function followLinks(path: string, nodes: InitrdNodes): string | undefined {
  const maximumLinks = 40;
  const pending = path.split('/').reverse();
  const done: string[] = [];
  let links = 0;
  for (let element = pending.pop(); element !== undefined; element = pending.pop()) {
    if (element === '' || element === '.') continue;
    if (element === '..') {
      done.pop();
      continue;
    }
    const target = nodes.get([...done, element].join('/'))?.target;
    if (target === undefined) {
      done.push(element);
      continue;
    }
    if ((links += 1) > maximumLinks) return undefined;
    if (target.startsWith('/')) done.length = 0;
    pending.push(...target.split('/').reverse());
  }
  return done.join('/');
}

const earlyPath = /^kernel\/(?:x86\/microcode|firmware\/acpi)\/./;

/** Faults that show only when everything was read. */
function wholeFaults(nodes: InitrdNodes, segments: readonly UnpackedSegment[]): readonly InitrdFault[] {
  const faults: InitrdFault[] = [];
  const firstPacked = segments.findIndex(({ encoding }) => encoding !== 'none');
  const earlySegments = firstPacked < 0 ? segments.length : firstPacked;
  for (const [path, { segment }] of nodes) {
    if (earlyPath.test(path) && segment >= earlySegments)
      faults.push(error(`${path} is looked for only in the uncompressed archives at the beginning`));
  }
  if (!nodes.has('init'))
    faults.push(warning('there is no /init: the kernel will not use this initrd by itself'));
  for (const [path, { target }] of nodes) {
    if (target === undefined || path !== 'init') continue;
    const place = followLinks(path, nodes);
    if (place === undefined || !nodes.has(place))
      faults.push(error(`/init points to ${target}, which is not there`));
  }
  return faults;
}

function error(message: string): InitrdFault {
  return { severity: 'error', message };
}

function warning(message: string): InitrdFault {
  return { severity: 'warning', message };
}
