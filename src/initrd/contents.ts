import { MkimgError } from '../base/errors.ts';
import type { ByteSource } from '../formats/bytes.ts';
import type { InitrdFault, InitrdSegment } from '../formats/initrd.ts';
import { sumOf } from '../formats/initrd.ts';
import { fileType } from '../formats/newc.ts';
import type { NewcMember } from '../formats/newc-reader.ts';
import { memberData, readArchives } from '../formats/newc-reader.ts';

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
  const links = new Map<string, string[]>();
  try {
    for (const member of membersOf(segment)) {
      const path = plainPath(member);
      if (path === '' || path === '.') continue;
      const node = { ...nodeOf(member, segment.archive), segment: index };
      if (seen.has(path)) faults.push(warning(`${path} stands twice in one archive`));
      seen.add(path);
      addLink(links, path, member);
      faults.push(...nodeFaults(path, node, nodes), ...dataFaults(path, node, segment.archive));
      nodes.set(path, node);
    }
  } catch (fault) {
    if (!(fault instanceof MkimgError)) throw fault;
    faults.push(error(fault.message));
  }
  for (const paths of links.values()) shareContent(paths, nodes);
  return faults;
}

/** Files of several names, by archive, device and inode; the kernel forgets them with each trailer. */
function addLink(
  links: Map<string, string[]>,
  path: string,
  member: NewcMember & { readonly archive: number },
): void {
  const { mode, nlink, inode, device, archive } = member;
  if (nlink < 2 || (mode & fileType.mask) !== fileType.regular) return;
  const group = [archive, inode, device.major, device.minor].join(':');
  links.set(group, [...(links.get(group) ?? []), path]);
}

/** The content comes along with any of the names, with GNU cpio with the last one. */
function shareContent(paths: readonly string[], nodes: Map<string, InitrdNode>): void {
  const full = paths
    .map((path) => nodes.get(path))
    .findLast((node) => node !== undefined && node.member.size > 0);
  if (full === undefined) return;
  const { size, dataOffset } = full.member;
  for (const path of paths) {
    const node = nodes.get(path);
    if (node?.segment === full.segment)
      nodes.set(path, { ...node, member: { ...node.member, size, dataOffset } });
  }
}

/** An uncompressed part is one archive; what is packed may unpack to several. */
function membersOf({ encoding, archive, start, size }: UnpackedSegment): ReturnType<typeof readArchives> {
  const end = encoding === 'none' ? Math.min(archive.size, start + size) : archive.size;
  const read: ByteSource['read'] = (offset, length) => archive.read(offset, Math.min(length, end - offset));
  return readArchives({ size: end, read }, start);
}

/** What the kernel makes of the content itself. */
function dataFaults(
  path: string,
  { member, type }: Omit<InitrdNode, 'segment'>,
  archive: ByteSource,
): readonly InitrdFault[] {
  const { checksum } = member;
  const isWrong =
    checksum !== undefined && type === fileType.regular && sumOf(memberData(archive, member)) !== checksum;
  const faults = isWrong ? [error(`${path} does not have the checksum that its header tells`)] : [];
  if (!/^kernel\/x86\/microcode\/./.test(path) || type !== fileType.regular) return faults;
  if (!member.path.equals(Buffer.from(path)))
    faults.push(error(`${path} is not found where its name begins with ./`));
  const isPacked = packedMagics.some((magic) => archive.read(member.dataOffset, magic.length).equals(magic));
  if (isPacked)
    faults.push(error(`${path} is compressed: the kernel reads it before it can unpack anything`));
  return faults;
}

/** Of xz, zstd and gzip, in which packages keep microcode. */
const packedMagics = ['fd377a585a00', '28b52ffd', '1f8b08'].map((magic) => Buffer.from(magic, 'hex'));

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
  return [...faults, ...initFaults(nodes)];
}

/** What the kernel starts (init/main.c): it has to be there, a file, and executable. */
function initFaults(nodes: InitrdNodes): readonly InitrdFault[] {
  const init = nodes.get('init');
  if (init === undefined)
    return [warning('there is no /init: the kernel will not use this initrd by itself')];
  const place = init.target === undefined ? 'init' : followLinks('init', nodes);
  const program = place === undefined ? undefined : nodes.get(place);
  if (program === undefined) return [error(`/init points to ${init.target ?? ''}, which is not there`)];
  const isProgram = program.type === fileType.regular && (program.member.mode & 0o111) !== 0;
  return isProgram ? [] : [error('/init is no program that can be started')];
}

function error(message: string): InitrdFault {
  return { severity: 'error', message };
}

function warning(message: string): InitrdFault {
  return { severity: 'warning', message };
}
