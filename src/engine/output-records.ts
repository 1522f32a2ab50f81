import type { Stats } from 'node:fs';
import { lstat, mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { HostPath, Sha256, StepKey } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { byBytes, sha256 } from '../base/canonical.ts';
import { lstatIfExists, namesIn, readTextIfExists, writeFileAtomically } from '../base/files.ts';

/** One file, link or directory that was put into an output directory. */
export interface PublishedItem {
  readonly name: string;
  readonly type: 'file' | 'directory' | 'link';
  readonly bytes: number;
  readonly mtimeMs: number;
  readonly inode: number;
  /** Absent until somebody asked for it. */
  readonly sha256?: Sha256;
}

/** What was published for one planned output. One lstat(2) for each item tells whether it is still there as it was. */
export interface OutputRecord {
  readonly format: 1;
  readonly directory: HostPath;
  /** Name of the planned output. */
  readonly name: string;
  /** Key of the step whose result it is. */
  readonly key: StepKey;
  /** Permissions that were asked for. */
  readonly mode: number;
  readonly items: readonly PublishedItem[];
}

export type OutputState =
  /** There, made from the wanted key, and not touched since. */
  | 'current'
  | 'missing'
  /** Made by mkimg from another key. */
  | 'outdated'
  /** Made by mkimg, and changed by somebody since. */
  | 'modified'
  /** Not made by mkimg, or its record was lost. */
  | 'foreign';

/** Records of what was published, below the cache's `state/`. */
export interface OutputRecords {
  read(directory: HostPath, name: string): Promise<OutputRecord | undefined>;
  write(record: OutputRecord): Promise<void>;
  remove(record: OutputRecord): Promise<void>;
  /** All records of one output directory, by name. */
  of(directory: HostPath): Promise<readonly OutputRecord[]>;
}

/** Opens the records below `state`. */
export function outputRecords(state: HostPath): OutputRecords {
  const folder = (directory: HostPath): string => join(state, 'outputs', sha256(directory));
  const file = (directory: HostPath, name: string): string => join(folder(directory), `${sha256(name)}.json`);
  return {
    read: async (directory, name) => parse(await readTextIfExists(file(directory, name))),
    write: async (record) => {
      const path = file(record.directory, record.name);
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await writeFileAtomically(path, `${JSON.stringify(record)}\n`, 0o600);
    },
    remove: ({ directory, name }) => rm(file(directory, name), { force: true }),
    of: async (directory) => {
      const names = await namesIn(folder(directory));
      const texts = await Promise.all(names.map((name) => readTextIfExists(join(folder(directory), name))));
      return texts
        .map(parse)
        .filter((record) => record !== undefined)
        .sort((left, right) => byBytes(left.name, right.name));
    },
  };
}

function parse(text: string | undefined): OutputRecord | undefined {
  if (text === undefined) return undefined;
  try {
    const value = JSON.parse(text) as OutputRecord;
    return (value as { format: unknown }).format === 1 ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** What is wanted in the place of an output. */
export interface WantedOutput {
  readonly directory: HostPath;
  readonly name: string;
  readonly key: StepKey;
  readonly mode: number;
}

/** How an output stands, by its record and lstat(2) alone. */
export async function outputState(
  wanted: WantedOutput,
  record: OutputRecord | undefined,
): Promise<OutputState> {
  if (record === undefined) {
    return (await lstatIfExists(join(wanted.directory, wanted.name))) === undefined ? 'missing' : 'foreign';
  }
  for (const item of record.items) {
    const stats = await lstatIfExists(join(wanted.directory, item.name));
    if (stats === undefined) return 'missing';
    if (!isSameItem(stats, item)) return 'modified';
  }
  return record.key === wanted.key && record.mode === wanted.mode ? 'current' : 'outdated';
}

function isSameItem(stats: Stats, item: PublishedItem): boolean {
  return (
    stats.ino === item.inode &&
    stats.mtimeMs === item.mtimeMs &&
    (stats.isDirectory() || stats.size === item.bytes)
  );
}

/** Describes what stands at `name` now. */
export async function describeItem(directory: HostPath, name: string): Promise<PublishedItem> {
  const stats = await lstat(join(directory, name));
  const type = stats.isDirectory() ? 'directory' : stats.isSymbolicLink() ? 'link' : 'file';
  return { name, type, bytes: stats.size, mtimeMs: stats.mtimeMs, inode: stats.ino };
}

/** Where an item stands. */
export function itemPath(directory: HostPath, name: string): HostPath {
  return hostPath(join(directory, name));
}
