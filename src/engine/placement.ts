import { chmod, lstat, mkdir, readdir, readlink, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath, Sha256 } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { byBytes } from '../base/canonical.ts';
import { Resources } from '../base/disposal.ts';
import { fileDigest } from './content.ts';
import { productsPath } from './layout.ts';
import { entryPath } from './moved.ts';
import type { PublishedItem } from './output-records.ts';
import { describeItem, itemPath } from './output-records.ts';
import * as placing from './placing.ts';
import { whileAlone } from './prune.ts';
import type { Publication, PublishScope, PublishTarget } from './publish.ts';
import { removeTree } from './staging.ts';
import type { Entry } from './store.ts';

/*
 * Publishing has two halves. The first one takes its time (copying, digests, writing data back to the disk), touches no
 * output and can be interrupted. The second one is a handful of renames, after which all outputs are the new ones.
 */

/** An output that is complete, beside its place or still in the store. Disposal removes what was not put in place. */
export interface Placement extends AsyncDisposable {
  /** Its files; digests only where they are known or were asked for. */
  readonly files: readonly { readonly name: string; readonly sha256?: Sha256 }[];
  /** Puts it in its place. Takes no time, and must not be interrupted. */
  place(): Promise<readonly PublishedItem[]>;
}

/** Does all of publishing an output that takes time. */
export async function preparePlacement(
  publication: Publication,
  target: PublishTarget,
  scope: PublishScope,
): Promise<Placement> {
  const { entry, status } = publication;
  if (status.output.spread === true) return prepareSpread(publication, target, scope);
  return entry.record.artifact.type === 'tree'
    ? prepareDirectory(publication, target, scope)
    : prepareFiles(publication, target, scope);
}

/** Files that scripts made, or had in their hands: each keeps its name. */
async function prepareSpread(
  { entry, status }: Publication,
  target: PublishTarget,
  scope: PublishScope,
): Promise<Placement> {
  const isProducts = status.output.from.type === 'products';
  const directory = isProducts ? join(productsPath(entry.path), 'output') : entry.path;
  await using prepared = new Resources();
  const placed: Placed[] = [];
  for (const name of (await readdir(directory)).sort(byBytes)) {
    const source = hostPath(join(directory, name));
    placed.push(prepared.use(await prepareEntry({ source, name }, target, scope)));
  }
  const kept = prepared.move();
  return {
    files: placed.filter(({ isFile }) => isFile),
    place: async () => {
      const items: PublishedItem[] = [];
      for (const item of placed) items.push(await item.place());
      return items;
    },
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  };
}

interface Placed extends FilePlacement {
  readonly isFile: boolean;
}

async function prepareEntry(
  { source, name }: Pick<FileToPublish, 'source' | 'name'>,
  target: PublishTarget,
  scope: PublishScope,
): Promise<Placed> {
  const stats = await lstat(source);
  if (stats.isFile()) {
    const file = await prepareFile({ source, name, sha256: undefined, moved: undefined }, target, scope);
    return { ...file, isFile: true };
  }
  const temporary = placing.temporaryName(target.directory, name);
  const discard = (): Promise<void> => removeTree(temporary);
  try {
    if (stats.isDirectory()) {
      await mkdir(temporary);
      await scope.copyTree(source, temporary);
    }
    return {
      ...{ name, isFile: false },
      place: async () => {
        if (stats.isDirectory()) await placing.placeDirectory(temporary, target.directory, name);
        else {
          await makeWay(itemPath(target.directory, name));
          await placing.placeLink(target.directory, name, await readlink(source));
        }
        return describeItem(target.directory, name);
      },
      [Symbol.asyncDispose]: discard,
    };
  } catch (error) {
    await discard();
    throw error;
  }
}

async function prepareFiles(
  { entry, status, movable }: Publication,
  target: PublishTarget,
  scope: PublishScope,
): Promise<Placement> {
  const { artifact } = entry.record;
  if (artifact.type === 'tree') throw new Error('internal: a tree is not a file');
  await using prepared = new Resources();
  const files: FilePlacement[] = [];
  for (const recorded of artifact.files) {
    const single = artifact.type === 'file';
    const name = single ? status.output.name : `${status.output.name}.${recorded.name}`;
    const source = single ? entry.path : hostPath(join(entry.path, recorded.name));
    const large = single && movable && recorded.bytes >= movedBytes;
    const file = { source, name, sha256: recorded.sha256, moved: large ? entry : undefined };
    files.push(prepared.use(await prepareFile(file, target, scope)));
  }
  const kept = prepared.move();
  return {
    files,
    place: async () => {
      const items: PublishedItem[] = [];
      for (const file of files) items.push(await file.place());
      return items;
    },
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  };
}

// Below this a copy costs a moment, and the store stays complete.
const movedBytes = 64 << 20;

interface FileToPublish {
  readonly source: HostPath;
  readonly name: string;
  readonly sha256: Sha256 | undefined;
  /** The entry that the file may be moved out of. */
  readonly moved: Entry | undefined;
}

interface FilePlacement extends AsyncDisposable {
  readonly name: string;
  readonly sha256?: Sha256;
  place(): Promise<PublishedItem>;
}

async function prepareFile(
  file: FileToPublish,
  target: PublishTarget,
  scope: PublishScope,
): Promise<FilePlacement> {
  const { source, name, moved } = file;
  const place = itemPath(target.directory, name);
  const temporary = placing.temporaryName(target.directory, name);
  const discard = (): Promise<void> => removeTree(temporary);
  const copy = async (signal: AbortSignal): Promise<void> => {
    await placing.copyFileCheaply(source, temporary, signal);
    await placing.completeFile(temporary, target.mode);
  };
  try {
    const stays = source === place;
    const moves = !stays && moved !== undefined && (await canMove({ entry: moved, source, place }, scope));
    if (moves) await placing.completeFile(source, target.mode);
    else if (!stays) await copy(scope.signal);
    const sha256 = file.sha256 ?? (await wantedDigest(moves || stays ? source : temporary, target));
    const digest = sha256 === undefined ? {} : { sha256 };
    const putInPlace = async (): Promise<void> => {
      await makeWay(place);
      await rename(temporary, place);
    };
    return {
      ...{ name, ...digest },
      place: async () => {
        // Moved there by an earlier build, and still the same.
        if (stays) await chmod(place, target.mode);
        else if (!moves) await putInPlace();
        else if (!(await moveOut({ entry: moved, source, place }, { scope, temporary, putInPlace }))) {
          await copy(neverAborted);
          await putInPlace();
        }
        return { ...(await describeItem(target.directory, name)), ...digest };
      },
      [Symbol.asyncDispose]: discard,
    };
  } catch (error) {
    await discard();
    throw error;
  }
}

const neverAborted = new AbortController().signal;

async function wantedDigest(path: HostPath, { checksumFile }: PublishTarget): Promise<Sha256 | undefined> {
  return checksumFile === undefined ? undefined : fileDigest(path);
}

/** A directory that an earlier build of another format left under this name; foreign ones were refused before. */
export async function makeWay(place: HostPath): Promise<void> {
  if (await placing.isPlainDirectory(place)) await removeTree(place);
}

async function prepareDirectory(
  { entry, status, movable }: Publication,
  target: PublishTarget,
  scope: PublishScope,
): Promise<Placement> {
  const { name } = status.output;
  const { path: source, record } = entry;
  if (record.layers.length !== 1)
    throw new Error(`internal: the output ${name} is a tree of ${record.layers.length} layers`);
  const place = itemPath(target.directory, name);
  const temporary = placing.temporaryName(target.directory, name);
  const discard = (): Promise<void> => removeTree(temporary);
  const copy = async (): Promise<void> => {
    await mkdir(temporary);
    await scope.copyTree(source, temporary);
  };
  try {
    const stays = source === place;
    const moves = !stays && movable && (await canMove({ entry, source, place }, scope));
    if (!stays && !moves) await copy();
    const putInPlace = (): Promise<void> => placing.placeDirectory(temporary, target.directory, name);
    return {
      files: [],
      place: async () => {
        if (!stays && !moves) await putInPlace();
        else if (moves && !(await moveOut({ entry, source, place }, { scope, temporary, putInPlace }))) {
          await copy();
          await putInPlace();
        }
        return [{ ...(await describeItem(target.directory, name)), bytes: record.bytes }];
      },
      [Symbol.asyncDispose]: discard,
    };
  } catch (error) {
    await discard();
    throw error;
  }
}

interface Move {
  readonly entry: Entry;
  readonly source: HostPath;
  readonly place: HostPath;
}

/** Whether an artifact is in the store, on the file system of its place, and nobody else may be about to read it. */
async function canMove({ entry, source, place }: Move, scope: PublishScope): Promise<boolean> {
  if (!entry.path.startsWith(`${entryPath(scope.store.layout, entry.record.key)}/`)) return false;
  const [from, to] = await Promise.all([lstat(source), lstat(join(place, '..'))]);
  return from.dev === to.dev && (await whileAlone(scope, () => Promise.resolve()));
}

interface Moving {
  readonly scope: PublishScope;
  readonly temporary: HostPath;
  readonly putInPlace: () => Promise<void>;
}

/**
 * Moves an artifact out of the store and notes where it went; false where it has to be copied after all, because another
 * build has begun meanwhile, or a mount stands between.
 */
async function moveOut(
  { entry, source, place }: Move,
  { scope, temporary, putInPlace }: Moving,
): Promise<boolean> {
  let moved = false;
  await whileAlone({ ...scope, signal: neverAborted }, async () => {
    moved = await placing.moveIfSameFileSystem(source, temporary);
    if (!moved) return;
    await putInPlace();
    await scope.store.recordMove(entry.record.key, place);
  });
  return moved;
}
