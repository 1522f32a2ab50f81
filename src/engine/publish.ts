import { constants } from 'node:fs';
import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath, StepId, StepKey } from '../base/brand.ts';
import { sha256 } from '../base/canonical.ts';
import { Resources } from '../base/disposal.ts';
import { isErrno, MkimgError } from '../base/errors.ts';
import type { EventSink } from '../base/events.ts';
import { makeDirectory, syncDirectory } from '../base/files.ts';
import type { PlannedOutput } from '../plan/step.ts';
import { digestUnchanged, prepareChecksums } from './checksums.ts';
import { acquireLock } from './lock.ts';
import type { OutputRecord, OutputRecords, OutputState } from './output-records.ts';
import { describeItem, itemPath, outputRecords, outputState } from './output-records.ts';
import type { Placement } from './placement.ts';
import { makeWay, preparePlacement } from './placement.ts';
import * as placing from './placing.ts';
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

/** What a build has to do in the output directory. */
export interface Publishing {
  readonly publications: readonly Publication[];
  /** Outputs that are as they should be. */
  readonly unchanged: readonly OutputRecord[];
}

/**
 * Puts results into the output directory, and the file of digests over all outputs. All are completed beside their places
 * first, so that the previous ones stay, all of them, until then; after that nothing can be interrupted. Large files and
 * directories are moved out of the store; see moved.ts. Gives the records of all outputs.
 * @throws MkimgError `output-exists` for a directory that mkimg did not make.
 */
export async function publish(
  { publications, unchanged }: Publishing,
  target: PublishTarget,
  scope: PublishScope,
): Promise<readonly OutputRecord[]> {
  const records = outputRecords(scope.store.layout.state);
  await using prepared = new Resources();
  const placements: (readonly [Publication, Placement])[] = [];
  for (const publication of publications) {
    scope.signal.throwIfAborted();
    await refuseForeignDirectory(publication.status, target, records);
    placements.push([publication, prepared.use(await preparePlacement(publication, target, scope))]);
  }
  const digested = await digestUnchanged(unchanged, target, records);
  const files = [...digested.flatMap(({ items }) => items), ...placements.flatMap(([, { files }]) => files)];
  const checksums = await prepareChecksums(files, target, records);
  if (checksums !== undefined) prepared.use(checksums);
  scope.signal.throwIfAborted();

  const written: OutputRecord[] = [];
  for (const [publication, placement] of placements) {
    announceLoss(publication.status, scope.events);
    written.push(await placeOutput(publication, placement, { target, records }));
  }
  const last = await checksums?.place();
  await syncDirectory(target.directory);
  for (const record of digested) emitArtifacts(record, 'unchanged', scope.events);
  for (const record of [...written, ...(last ?? [])]) emitArtifacts(record, 'built', scope.events);
  return [...digested, ...written];
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

interface Places {
  readonly target: PublishTarget;
  readonly records: OutputRecords;
}

async function placeOutput(
  { entry, status }: Publication,
  placement: Placement,
  { target: { directory, mode }, records }: Places,
): Promise<OutputRecord> {
  const { name, link } = status.output;
  const items = [...(await placement.place())];
  if (link !== undefined) {
    await makeWay(itemPath(directory, link));
    await placing.placeLink(directory, link, name);
    items.push(await describeItem(directory, link));
  }
  const record: OutputRecord = { format: 1, directory, name, key: entry.record.key, mode, items };
  await removeVanished(status.record, record);
  await records.write(record);
  return record;
}

/** Files of the previous build that the new one does not have, such as those of an older kernel. */
async function removeVanished(previous: OutputRecord | undefined, current: OutputRecord): Promise<void> {
  const names = new Set(current.items.map(({ name }) => name));
  for (const { name } of previous?.items ?? []) {
    if (!names.has(name)) await removeTree(join(current.directory, name));
  }
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
