import type { ArchitectureName } from '../../distro/architectures/index.ts';
import { partitionTypeName } from '../../formats/gpt-types.ts';

/** What systemd-repart is asked to make. Paths are paths inside the sandbox. */
export interface RepartRequest {
  readonly definitions: readonly string[];
  /** Tree that CopyFiles= lines refer to. */
  readonly root: string;
  readonly image: string;
  /** UUID from which all others are derived. */
  readonly seed: string;
  readonly architecture: ArchitectureName;
  readonly sectorSize: number;
}

/**
 * Command line that makes a new image without loop devices. The sector size is always given: without it repart formats
 * FAT with 4096-byte sectors on a 512-byte disk. So is the architecture: without it `Type=root` means the build host's.
 */
export function repartArgv(request: RepartRequest): string[] {
  return [
    '--empty=create',
    '--size=auto',
    '--dry-run=no',
    '--offline=yes',
    '--json=pretty',
    '--no-pager',
    `--root=${request.root}`,
    `--seed=${request.seed}`,
    `--architecture=${request.architecture}`,
    `--sector-size=${request.sectorSize}`,
    ...request.definitions.map((directory) => `--definitions=${directory}`),
    request.image,
  ];
}

/**
 * Environment for repart and the mkfs programs that it starts. mke2fs takes only the last `-E`, so what repart passes
 * itself stands here once more, beside the hash seed without which two ext4 images of one tree differ.
 */
export function repartEnvironment(hashSeed: string, epoch: number): Record<string, string> {
  return {
    ...reproducibleEnvironment(epoch),
    // Where repart keeps its copies.
    TMPDIR: '/var/tmp',
    SYSTEMD_REPART_MKFS_OPTIONS_EXT4: `-E nodiscard,lazy_itable_init=1,hash_seed=${hashSeed}`,
  };
}

/** Environment that keeps the clock and the time zone out of file systems. */
export function reproducibleEnvironment(epoch: number): Record<string, string> {
  return { SOURCE_DATE_EPOCH: String(epoch), TZ: 'UTC' };
}

/** A definition file of repart.d(5). */
export interface DefinitionFile {
  readonly name: string;
  readonly text: string;
}

/** A partition in front of the root. */
export interface BootPartition {
  /** systemd's name of the type, or its GUID. */
  readonly type: string;
  readonly bytes: number;
}

export interface BuiltInLayout {
  /** In the order of the disk; empty for images that do not boot. */
  readonly boot: readonly BootPartition[];
  readonly rootBytes: number;
}

/**
 * mkimg's own definitions. They only lay out the disk: without Format= repart leaves the partitions empty, and they are
 * filled where they lie, which saves the copies of the tree and of the file system that repart makes.
 */
export function builtInDefinitions(layout: BuiltInLayout): readonly DefinitionFile[] {
  const boot = layout.boot.map(({ type, bytes }, index) => ({
    name: `0${index}-boot.conf`,
    text: definition(type, bytes),
  }));
  return [
    ...boot,
    { name: '10-root.conf', text: definition('root', layout.rootBytes, ['GrowFileSystem=yes']) },
  ];
}

function definition(type: string, bytes: number, more: readonly string[] = []): string {
  return ['[Partition]', `Type=${type}`, `SizeMinBytes=${bytes}`, `SizeMaxBytes=${bytes}`, ...more, ''].join(
    '\n',
  );
}

/** A partition as repart reports it. Offset and size are bytes. */
export interface RepartPartition {
  /** systemd's name of the type, such as `root-x86-64`. */
  readonly type: string;
  readonly label: string;
  readonly uuid: string;
  readonly offset: number;
  readonly size: number;
  /** For the data partition of a verity pair. */
  readonly roothash?: string;
}

/** Reads what `--json=` prints; partitions in the order of the disk. @throws Error (internal) for anything else. */
export function parseRepartOutput(text: string): readonly RepartPartition[] {
  const value: unknown = JSON.parse(text);
  if (!Array.isArray(value)) throw unexpected();
  const entries: readonly unknown[] = value;
  return entries.map(parsePartition).sort((left, right) => left.offset - right.offset);
}

function parsePartition(value: unknown): RepartPartition {
  if (typeof value !== 'object' || value === null) throw unexpected();
  const members: Record<string, unknown> = { ...value };
  const { roothash } = members;
  return {
    type: typeName(textMember(members, 'type')),
    label: textMember(members, 'label'),
    uuid: textMember(members, 'uuid'),
    offset: numberMember(members, 'offset'),
    size: numberMember(members, 'raw_size'),
    ...(typeof roothash === 'string' && roothash !== '' ? { roothash } : {}),
  };
}

/** repart has no names for some types of boot loaders and writes their GUIDs. */
function typeName(text: string): string {
  return partitionTypeName(text) ?? text;
}

function textMember(members: Record<string, unknown>, name: string): string {
  const value = members[name];
  if (typeof value !== 'string') throw unexpected();
  return value;
}

function numberMember(members: Record<string, unknown>, name: string): number {
  const value = members[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw unexpected();
  return value;
}

function unexpected(): Error {
  return new Error('internal: systemd-repart printed a partition list of an unknown form');
}
