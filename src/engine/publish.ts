import { constants } from 'node:fs';
import { access, chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath, Sha256, StepId, StepKey } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { byBytes, sha256 } from '../base/canonical.ts';
import { isErrno, MkimgError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import { makeDirectory, syncDirectory } from '../base/files.ts';
import type { PlannedOutput } from '../plan/step.ts';
import { fileDigest } from './content.ts';
import { acquireLock } from './lock.ts';
import { entryPath } from './moved.ts';
import type { OutputRecord, OutputRecords, OutputState, PublishedItem } from './output-records.ts';
import { describeItem, itemPath, outputRecords, outputState } from './output-records.ts';
import * as placing from './placing.ts';
import { stepKey } from './record.ts';
import { whileAlone } from './prune.ts';
import { removeTree } from './staging.ts';
import type { Entry, Store } from './store.ts';

/** Where outputs go and how they look there. */
export interface PublishTarget {
  readonly directory: HostPath;
  /** Permissions of output files (OutputMode=), or 0666 less the umask. */
  readonly mode: number;
  /** Name of the file with the digests of all outputs; absent: none is wanted. */
  readonly checksumFile: string | undefined;
  /** Replace a directory of the same name that mkimg did not make. */
  readonly replaceForeign: boolean;
}

export interface PublishScope {
  readonly store: Store;
  readonly events: EventSink;
  readonly signal: AbortSignal;
  /**
   * Copies a directory into an empty one, with owners, times and extended attributes, the directory's own included; used
   * where it cannot be moved.
   */
  copyTree(source: HostPath, target: HostPath): Promise<void>;
}

/** A planned output with what is known of it. */
export interface OutputStatus {
  readonly output: PlannedOutput;
  readonly state: OutputState;
  readonly record: OutputRecord | undefined;
}

/** How all outputs stand. `keyOf` gives the wanted key; undefined while it is not known. */
export async function outputStatuses(
  outputs: readonly PlannedOutput[],
  {
    store,
    target,
    keyOf,
  }: { store: Store; target: PublishTarget; keyOf: (id: StepId) => StepKey | undefined },
): Promise<readonly OutputStatus[]> {
  const { directory, mode } = target;
  const records = outputRecords(store.layout.state);
  return Promise.all(
    outputs.map(async (output) => {
      const record = await records.read(directory, output.name);
      const key = keyOf(output.from.$ref);
      if (key === undefined) return { output, state: 'outdated' as const, record };
      const state = await outputState({ directory, name: output.name, key, mode }, record);
      return { output, state, record };
    }),
  );
}

/**
 * Makes the output directory and checks that it can be written to, before work begins.
 * @throws MkimgError `output-not-writable`
 */
export async function prepareOutputDirectory(directory: HostPath): Promise<void> {
  try {
    await makeDirectory(directory);
    await access(directory, constants.W_OK | constants.X_OK);
  } catch (error) {
    if (!isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'ENOENT')) throw error;
    const reason = reasons[error.code ?? ''] ?? error.message;
    throw new MkimgError(
      'output-not-writable',
      `Cannot write to the output directory ${directory}: ${reason}`,
      {
        hint: 'Name another one with OutputDirectory=, or change its permissions.',
        class: 'usage',
        cause: error,
      },
    );
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EEXIST: 'it is not a directory',
  ENOENT: 'it cannot be made',
  ENOTDIR: 'a part of the path is not a directory',
  EPERM: 'not permitted',
  EROFS: 'the file system is read-only',
};

/** Only one build at a time may fill an output directory; a second one waits, with a note. */
export async function lockOutputDirectory(
  directory: HostPath,
  scope: Omit<PublishScope, 'copyTree'>,
): Promise<AsyncDisposable> {
  const locks = join(scope.store.layout.state, 'locks');
  await mkdir(locks, { recursive: true });
  const lock = await acquireLock(join(locks, `output-${sha256(directory).slice(0, 32)}`), {
    signal: scope.signal,
    onWait: (pid) => {
      scope.events.emit({
        ...{ type: 'note', level: 'info', code: 'waiting' },
        message: `Waiting for process ${pid}, which is building into ${directory}`,
      });
    },
  });
  await placing.removeLeftovers(directory);
  return lock;
}

/** One output to put into its place. */
export interface Publication {
  readonly status: OutputStatus;
  readonly entry: Entry;
  /** The artifact is not needed again: it may be moved instead of copied. */
  readonly movable: boolean;
}

/**
 * Puts results into the output directory. Each one is completed beside its place and renamed into it, so the previous one
 * stays until then. Large files and directories are moved out of the store; see moved.ts.
 * @throws MkimgError `output-exists` for a directory that mkimg did not make.
 */
export async function publish(
  publications: readonly Publication[],
  target: PublishTarget,
  scope: PublishScope,
): Promise<readonly OutputRecord[]> {
  const records = outputRecords(scope.store.layout.state);
  const written: OutputRecord[] = [];
  for (const publication of publications) {
    scope.signal.throwIfAborted();
    await refuseForeignDirectory(publication.status, target, records);
    announceLoss(publication.status, scope.events);
    written.push(await publishOne(publication, target, { ...scope, records }));
  }
  await syncDirectory(target.directory);
  return written;
}

/** What stands in the way of an output or its link must be mkimg's own: that of another format, for example. */
async function refuseForeignDirectory(
  { output }: OutputStatus,
  target: PublishTarget,
  records: OutputRecords,
): Promise<void> {
  if (target.replaceForeign) return;
  for (const name of output.link === undefined ? [output.name] : [output.name, output.link]) {
    const path = join(target.directory, name);
    if (!(await placing.isPlainDirectory(path))) continue;
    const items = (await records.read(target.directory, name))?.items ?? [];
    if (items.some((item) => item.name === name && item.type === 'directory')) continue;
    throw new MkimgError('output-exists', `${path} is a directory that mkimg did not make`, {
      hint: 'Move it away, name another Output=, or give --force to replace it.',
      class: 'usage',
    });
  }
}

function announceLoss({ output, state }: OutputStatus, events: EventSink): void {
  if (state !== 'modified') return;
  events.emit({
    ...{ type: 'note', level: 'warning', code: 'output-modified' },
    message: `${output.name} was changed after it had been built; the changed one is replaced`,
  });
}

interface Publishing extends PublishScope {
  readonly records: OutputRecords;
}

async function publishOne(
  publication: Publication,
  target: PublishTarget,
  scope: Publishing,
): Promise<OutputRecord> {
  const { entry, status } = publication;
  const { output } = status;
  const items =
    entry.record.artifact.type === 'tree'
      ? [await publishDirectory(publication, target, scope)]
      : await publishFiles(publication, target, scope);
  if (output.link !== undefined) {
    await makeWay(itemPath(target.directory, output.link));
    await placing.placeLink(target.directory, output.link, output.name);
    items.push(await describeItem(target.directory, output.link));
  }
  const { directory, mode } = target;
  const record: OutputRecord = {
    format: 1,
    directory,
    name: output.name,
    key: entry.record.key,
    mode,
    items,
  };
  await removeVanished(status.record, record);
  await scope.records.write(record);
  emitArtifacts(record, 'built', scope.events);
  return record;
}

/** Files of the previous build that the new one does not have, such as those of an older kernel. */
async function removeVanished(previous: OutputRecord | undefined, current: OutputRecord): Promise<void> {
  const names = new Set(current.items.map(({ name }) => name));
  for (const { name } of previous?.items ?? []) {
    if (!names.has(name)) await removeTree(join(current.directory, name));
  }
}

async function publishFiles(
  publication: Publication,
  target: PublishTarget,
  scope: Publishing,
): Promise<PublishedItem[]> {
  const { entry, status } = publication;
  const { artifact } = entry.record;
  if (artifact.type === 'tree') throw new Error('internal: a tree is not a file');
  const items: PublishedItem[] = [];
  for (const file of artifact.files) {
    const single = artifact.type === 'file';
    const name = single ? status.output.name : `${status.output.name}.${file.name}`;
    const source = single ? entry.path : hostPath(join(entry.path, file.name));
    const large = single && publication.movable && file.bytes >= movedBytes;
    await publishFile({ source, name, moved: large ? entry : undefined }, target, scope);
    const item = await describeItem(target.directory, name);
    items.push(file.sha256 === undefined ? item : { ...item, sha256: file.sha256 });
  }
  return items;
}

// Below this a copy costs a moment, and the store stays complete.
const movedBytes = 64 << 20;

interface FileToPublish {
  readonly source: HostPath;
  readonly name: string;
  /** The entry that the file may be moved out of. */
  readonly moved: Entry | undefined;
}

async function publishFile(file: FileToPublish, target: PublishTarget, scope: Publishing): Promise<void> {
  const place = itemPath(target.directory, file.name);
  // Moved there by an earlier build, and still the same.
  if (file.source === place) {
    await chmod(place, target.mode);
    return;
  }
  const temporary = placing.temporaryName(target.directory, file.name);
  try {
    const putInPlace = async (): Promise<void> => {
      await makeWay(place);
      await placing.placeFile(temporary, place, target.mode);
    };
    const moved =
      file.moved !== undefined &&
      (await moveOut({ entry: file.moved, source: file.source, temporary, place }, scope, putInPlace));
    if (moved) return;
    await placing.copyFileCheaply(file.source, temporary, scope.signal);
    await putInPlace();
  } catch (error) {
    await removeTree(temporary);
    throw error;
  }
}

/** A directory that an earlier build of another format left under this name; foreign ones were refused before. */
async function makeWay(place: HostPath): Promise<void> {
  if (await placing.isPlainDirectory(place)) await removeTree(place);
}

interface Move {
  readonly entry: Entry;
  readonly source: HostPath;
  readonly temporary: HostPath;
  readonly place: HostPath;
}

/**
 * Moves an artifact out of the store and notes where it went; false where it has to be copied: it is not in the store any
 * more, stands on another file system, or another build runs that may be about to read it.
 */
async function moveOut(
  { entry, source, temporary, place }: Move,
  scope: PublishScope,
  putInPlace: () => Promise<void>,
): Promise<boolean> {
  if (!isInStore(entry, scope.store)) return false;
  let moved = false;
  await whileAlone(scope, async () => {
    moved = await placing.moveIfSameFileSystem(source, temporary);
    if (!moved) return;
    await putInPlace();
    await scope.store.recordMove(entry.record.key, place);
  });
  return moved;
}

function isInStore(entry: Entry, { layout }: Store): boolean {
  return entry.path.startsWith(`${entryPath(layout, entry.record.key)}/`);
}

async function publishDirectory(
  { entry, status, movable }: Publication,
  target: PublishTarget,
  scope: Publishing,
): Promise<PublishedItem> {
  const { name } = status.output;
  const { layers } = entry.record;
  if (layers.length !== 1)
    throw new Error(`internal: the output ${name} is a tree of ${layers.length} layers`);
  const place = itemPath(target.directory, name);
  if (entry.path !== place) {
    const temporary = placing.temporaryName(target.directory, name);
    try {
      const putInPlace = (): Promise<void> => placing.placeDirectory(temporary, target.directory, name);
      const moved =
        movable && (await moveOut({ entry, source: entry.path, temporary, place }, scope, putInPlace));
      if (!moved) {
        await mkdir(temporary);
        await scope.copyTree(entry.path, temporary);
        await putInPlace();
      }
    } catch (error) {
      await removeTree(temporary);
      throw error;
    }
  }
  return { ...(await describeItem(target.directory, name)), bytes: entry.record.bytes };
}

/** Tells the user about each file of an output. */
export function emitArtifacts(
  { directory, items }: OutputRecord,
  state: 'built' | 'unchanged',
  events: EventSink,
): void {
  for (const { name, type, bytes } of items) {
    if (type !== 'link') events.emit({ type: 'artifact', name, path: join(directory, name), bytes, state });
  }
}

/** Writes the file of digests over all files in `published`, if it is not there already as it should be. */
export async function publishChecksums(
  published: readonly OutputRecord[],
  target: PublishTarget,
  scope: Pick<PublishScope, 'store' | 'events'>,
): Promise<void> {
  const { checksumFile, directory, mode } = target;
  if (checksumFile === undefined) return;
  const records = outputRecords(scope.store.layout.state);
  const lines: string[] = [];
  for (const record of published) {
    const digested = await withDigests(record);
    if (digested !== record) await records.write(digested);
    lines.push(...digested.items.flatMap(checksumLine));
  }
  const text = lines.sort(byBytes).join('');
  const key = stepKey(sha256(text));
  const previous = await records.read(directory, checksumFile);
  const wanted = { directory, name: checksumFile, key, mode };
  if ((await outputState(wanted, previous)) === 'current') return;
  const temporary = placing.temporaryName(directory, checksumFile);
  await writeFile(temporary, text, { flag: 'wx' });
  await placing.placeFile(temporary, itemPath(directory, checksumFile), mode);
  const record: OutputRecord = { ...wanted, format: 1, items: [await describeItem(directory, checksumFile)] };
  await records.write(record);
  emitArtifacts(record, 'built', scope.events);
}

async function withDigests(record: OutputRecord): Promise<OutputRecord> {
  if (record.items.every(({ type, sha256: digest }) => type !== 'file' || digest !== undefined))
    return record;
  const items: PublishedItem[] = [];
  for (const item of record.items) {
    const known = item.type !== 'file' || item.sha256 !== undefined;
    items.push(known ? item : { ...item, sha256: await fileDigest(join(record.directory, item.name)) });
  }
  return { ...record, items };
}

/** As sha256sum(1) writes and checks it, in binary mode as mkosi does. */
function checksumLine({ name, sha256: digest }: { name: string; sha256?: Sha256 }): string[] {
  return digest === undefined ? [] : [`${digest} *${name}\n`];
}
