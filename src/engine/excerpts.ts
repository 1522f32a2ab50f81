import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join, posix } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import { digestJson, isObject } from '../base/canonical.ts';
import { isErrno } from '../base/errors.ts';
import type { ExcerptName } from '../plan/excerpts.ts';
import { excerpts } from '../plan/excerpts.ts';
import type { Ref } from '../plan/step.ts';
import type { StoreRecord } from './record.ts';
import { walkTree } from './walk.ts';

/*
 * What is below a path of a tree follows from what its layers have there. So each layer's record says what its tree has in
 * each excerpt: the state of the layer below, unless this layer has something at these paths; then both together.
 */

/** State by path, for each excerpt that can be told apart from the rest of the tree. */
export type ExcerptStates = Readonly<Partial<Record<ExcerptName, Readonly<Record<string, string>>>>>;

/** The state of a path where nothing is. */
const absent = 'absent';

/** A layer, while its tree is mounted. */
export interface FinishedLayer {
  /** What this layer holds; the tree itself where there is none below. */
  readonly upper: HostPath;
  /** Directories that show together what the tree has with this layer. */
  readonly views: readonly HostPath[];
  /** undefined for the lowest layer. */
  readonly lower: Pick<StoreRecord, 'excerpts'> | undefined;
  /** What the step that made the lowest layer says it was made from. */
  readonly declared: ReadonlyMap<ExcerptName, Json>;
  /** When the work on the layer began, in milliseconds since the epoch: newer times are not the files' own. */
  readonly since: number;
}

/** More than this is not read only to perhaps save a step; bytes for each excerpt. */
const readLimit = 64 << 20;

/** What a tree has in its excerpts. Those with links that lead out of them, and those that are too large, are left out. */
export async function excerptStates(layer: FinishedLayer): Promise<ExcerptStates> {
  const states: Partial<Record<ExcerptName, Readonly<Record<string, string>>>> = {};
  for (const name of Object.keys(excerpts) as ExcerptName[]) {
    const state = await excerptState(name, layer);
    if (state !== undefined) states[name] = state;
  }
  return states;
}

/** The state of one excerpt; undefined where it cannot be told apart from the tree. */
export async function excerptDigest(name: ExcerptName, layer: FinishedLayer): Promise<string | undefined> {
  const state = await excerptState(name, layer);
  return state === undefined ? undefined : digestJson(state);
}

/** What a reference to excerpts of a tree counts as in keys; undefined where only the tree as a whole can count. */
export function excerptIdentity(
  { excerpts: names }: Ref,
  record: Pick<StoreRecord, 'excerpts'>,
): Json | undefined {
  if (names === undefined) return undefined;
  const states = names.map((name) => record.excerpts?.[name]);
  return states.includes(undefined) ? undefined : digestJson(states as Json);
}

/** Whether a record of another machine has them in their form, or not at all. */
export function areExcerptStates(value: unknown): boolean {
  if (value === undefined) return true;
  if (!isObject(value)) return false;
  return Object.values(value).every(
    (states) => isObject(states) && Object.values(states).every((state) => typeof state === 'string'),
  );
}

/** Thrown where an excerpt cannot be told apart from its tree. */
class Inseparable extends Error {
  override readonly name = 'Inseparable';
}

async function excerptState(
  name: ExcerptName,
  layer: FinishedLayer,
): Promise<Readonly<Record<string, string>> | undefined> {
  const below = layer.lower?.excerpts?.[name];
  if (layer.lower !== undefined && below === undefined) return undefined;
  const states: Record<string, string> = {};
  const reading = { layer, name, remaining: readLimit };
  try {
    for (const path of excerpts[name]) states[path] = await pathState(path, below?.[path], reading);
  } catch (error) {
    if (error instanceof Inseparable) return undefined;
    throw error;
  }
  return states;
}

interface Reading {
  readonly layer: FinishedLayer;
  readonly name: ExcerptName;
  remaining: number;
}

async function pathState(path: string, below: string | undefined, reading: Reading): Promise<string> {
  const { upper, views } = reading.layer;
  const isThere = views.map((view) => isVisible(view, path)).includes(true);
  // Where this layer has nothing, the path may still be gone: with a directory above it that was made anew.
  if (!isThere) return absent;
  if (!isTouched(upper, path)) {
    if (below === undefined || below === absent) throw new Inseparable(path);
    return below;
  }
  return digestJson([below ?? absent, await ownState(path, reading)]);
}

function lstatIfThere(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** @throws Inseparable when a link stands on the way */
function isVisible(root: HostPath, path: string): boolean {
  let here: string = root;
  const names = path.split('/');
  for (const [index, name] of names.entries()) {
    here = join(here, name);
    const stats = lstatIfThere(here);
    if (stats === undefined) return false;
    if (index === names.length - 1) return true;
    if (stats.isSymbolicLink()) throw new Inseparable(path);
    if (!stats.isDirectory()) return false;
  }
  return false;
}

/** Whether a layer has anything at the path, or something else than a directory above it. */
function isTouched(upper: HostPath, path: string): boolean {
  let here: string = upper;
  for (const name of path.split('/')) {
    here = join(here, name);
    const stats = lstatIfThere(here);
    if (stats === undefined) return false;
    if (!stats.isDirectory()) return true;
  }
  return true;
}

/**
 * What this layer has at a path. Directories count with all names that the tree has in them: whether a directory of a layer
 * hides the one below it is written in an extended attribute, but this shows it as well.
 */
async function ownState(path: string, reading: Reading): Promise<Json> {
  const { upper, views, declared } = reading.layer;
  const top = join(upper, path);
  const stats = lstatSync(top);
  const known = declared.get(reading.name);
  const hash = createHash('sha256');
  const add = (place: string, full: Buffer, found: Stats): void => {
    if (found.isSymbolicLink()) hash.update(linkState(place, full, reading));
    else if (known === undefined) hash.update(fileState(place, { full, stats: found, reading }), 'latin1');
    if (known === undefined && found.isDirectory()) {
      hash.update(namesIn(views, place), 'latin1');
    }
  };
  add(path, Buffer.from(top), stats);
  if (stats.isDirectory()) {
    for await (const entry of walkTree(top)) add(`${path}/${entry.path}`, entry.full, entry.stats);
  }
  return [known ?? null, hash.digest('hex')];
}

/** `place` is in bytes as Latin-1. */
function namesIn(views: readonly HostPath[], place: string): string {
  const names = views.flatMap((root) => {
    const directory = Buffer.concat([Buffer.from(`${root}/`), Buffer.from(place, 'latin1')]);
    return views.length > 1 && !existsSync(directory) ? [] : readdirSync(directory, 'latin1');
  });
  return `${[...new Set(names)].sort().join('\0')}\0\0`;
}

/** Links to where kernels were built, which nobody follows here. */
const buildLinks = /^usr\/lib\/modules\/[^/]+\/(build|source)$/;

/** @throws Inseparable for a link that leads out of the excerpt */
function linkState(path: string, full: Buffer, { name }: Reading): string {
  const target = readlinkSync(full, 'latin1');
  const state = `link ${path}\0${target}\0`;
  if (buildLinks.test(path)) return state;
  const leadsTo = posix
    .resolve('/', posix.dirname(path), target)
    .slice(1)
    .replace(/^lib\//, 'usr/lib/');
  const paths: readonly string[] = excerpts[name];
  const isInside = paths.some((other) => leadsTo === other || leadsTo.startsWith(`${other}/`));
  const isMergedUsr = path === 'lib' && leadsTo === 'usr/lib';
  if (!isInside && !isMergedUsr) throw new Inseparable(path);
  return state;
}

interface FoundFile {
  readonly full: Buffer;
  readonly stats: Stats;
  readonly reading: Reading;
}

function fileState(path: string, { full, stats, reading }: FoundFile): string {
  const kind = `${stats.mode.toString(8)} ${stats.rdev} ${path}\0`;
  if (!stats.isFile()) return kind;
  reading.remaining -= stats.size;
  if (reading.remaining < 0) throw new Inseparable(path);
  // What was written just now gets another time in each build, which does not get into images.
  const time = stats.mtimeMs >= reading.layer.since ? 'new' : String(stats.mtimeMs);
  return `${kind}${time} ${createHash('sha256').update(readFileSync(full)).digest('hex')}\0`;
}
