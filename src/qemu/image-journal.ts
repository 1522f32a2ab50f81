import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { MkimgError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import { isDirectory } from '../base/files.ts';
import type { TemporaryDirectory } from '../base/temporary.ts';
import { temporaryDirectory } from '../base/temporary.ts';
import { openSource } from '../formats/bytes.ts';
import { findOnPath } from '../sandbox/lookup.ts';
import { startLongRunning } from '../sandbox/long-running.ts';
import { findPartition, isRootType } from './image.ts';

/** The journal of an image that does not run. */
export type ImageJournal =
  /** The tree whose journal it is. */
  | { readonly kind: 'root'; readonly path: HostPath }
  /** Copies of its files, until the end of the scope. */
  | { readonly kind: 'files'; readonly directory: TemporaryDirectory }
  /** A disk that only the kernel can read. */
  | { readonly kind: 'image'; readonly path: HostPath };

/** Where journald keeps what outlives a boot. */
const journalPath = 'var/log/journal';

/** The journal of a tree. @throws MkimgError `no-journal` */
export async function treeJournal(tree: HostPath): Promise<ImageJournal> {
  if (await isDirectory(join(tree, journalPath))) return { kind: 'root', path: tree };
  throw noJournal(tree);
}

/**
 * The journal in the root partition of a disk. From ext4 it is copied by debugfs, which needs neither root nor loop devices.
 * @throws MkimgError `no-journal`, `tool-missing`
 */
export async function diskJournal(disk: HostPath, events: EventSink): Promise<ImageJournal> {
  const place = ext4Journal(disk);
  if (place === undefined) return { kind: 'image', path: disk };
  if ((await findOnPath('debugfs')) === undefined) {
    throw new MkimgError('tool-missing', 'Cannot find debugfs, which reads ext4.', {
      hint: 'apt install e2fsprogs',
    });
  }
  const directory = await temporaryDirectory('/var/tmp', 'mkimg-journal-');
  try {
    await copyJournal(disk, { place, target: directory.path, events });
    if ((await readdir(directory.path)).length === 0) throw noJournal(disk);
    return { kind: 'files', directory };
  } catch (error) {
    await directory[Symbol.asyncDispose]();
    throw error;
  }
}

interface JournalPlace {
  /** Where the file system begins, in bytes. */
  readonly offset: number;
  /** In that file system. */
  readonly path: string;
}

/** Where a disk has its journal, if the file system is ext4; undefined for all else. */
function ext4Journal(disk: HostPath): JournalPlace | undefined {
  const ofItsOwn = findPartition(disk, (type) => type === 'var');
  const partition = ofItsOwn ?? findPartition(disk, isRootType);
  if (partition === undefined) return undefined;
  const { offset } = partition;
  using source = openSource(disk);
  // ext4(5): the superblock stands 1024 bytes after the beginning, its magic number 56 bytes further.
  const magic = source.read(offset + 1024 + 56, 2);
  if (magic[0] !== 0x53 || magic[1] !== 0xef) return undefined;
  return { offset, path: ofItsOwn === undefined ? `/${journalPath}` : '/log/journal' };
}

interface JournalCopy {
  readonly place: JournalPlace;
  readonly target: HostPath;
  readonly events: EventSink;
}

/** In a sandbox: names in a file system that a guest wrote may lead anywhere. */
async function copyJournal(disk: HostPath, { place, target, events }: JournalCopy): Promise<void> {
  await using program = await startLongRunning({
    spec: {
      tools: { kind: 'host' },
      mounts: [
        { source: disk, target: '/image', mode: 'ro' },
        { source: target, target: '/journal', mode: 'rw' },
      ],
      network: false,
      env: {},
      suppressChown: true,
    },
    tool: 'debugfs',
    argv: debugfsArgv(place),
    sockets: 0,
    events,
  });
  await program.ended;
}

/** debugfs's arguments: what it says of files that are not there goes to standard error, and is no fault. Pure. */
export function debugfsArgv({ offset, path }: JournalPlace): readonly string[] {
  return ['-R', `rdump ${path} /journal`, `/image?offset=${offset}`];
}

function noJournal(image: HostPath): MkimgError {
  return new MkimgError('no-journal', `${image} holds no journal`, {
    hint: 'Images keep one from boots without Ephemeral=yes, if they have the directory /var/log/journal.',
  });
}
