import type { Dirent, Stats } from 'node:fs';
import { lstatSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '../base/errors.ts';

/**
 * How files looked when something was made of them: enough to tell in a moment whether any may have changed since, without
 * reading one. Inode, size and both times have to be the same: whoever sets back the time of modification changes the other.
 */
export type Sightings = Readonly<Record<string, string>>;

/** More files than this below one place are not worth looking at one by one. */
const maximumFiles = 4000;

/**
 * Looks at each path and, of directories, at all that is below; symbolic links are looked at and followed. Of a path that
 * ends with a slash, only the directories below are looked at: enough where files are replaced and never written to, as
 * package managers do it. Undefined when there is too much below.
 */
export function look(paths: readonly string[]): Sightings | undefined {
  const sightings: Record<string, string> = {};
  const pending = [...new Set(paths)];
  const seen = new Set<string>();
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const stats = lookAt(path, sightings);
    if (stats?.isDirectory() !== true) continue;
    // A directory can be met again through a link.
    const identity = `${stats.dev}:${stats.ino}`;
    if (seen.has(identity)) continue;
    seen.add(identity);
    pending.push(...(path.endsWith('/') ? directoriesBelow(path) : namesBelow(path)));
    if (pending.length + seen.size > maximumFiles) return undefined;
  }
  return sightings;
}

/** Looks at each path alone. */
export function glance(paths: readonly string[]): Sightings {
  const sightings: Record<string, string> = {};
  for (const path of paths) lookAt(path, sightings);
  return sightings;
}

/** True when both tell the same. */
export function isSameSight(before: Sightings, now: Sightings): boolean {
  const names = Object.keys(before);
  return names.length === Object.keys(now).length && names.every((name) => before[name] === now[name]);
}

function lookAt(path: string, sightings: Record<string, string>): Stats | undefined {
  const own = lstatSync(path, { throwIfNoEntry: false });
  const stats = own?.isSymbolicLink() === true ? followed(path) : own;
  const through = own === stats ? '' : `${describe(own)} -> `;
  sightings[path] = through + describe(stats);
  return stats;
}

function followed(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (isErrno(error, 'ELOOP')) return undefined;
    throw error;
  }
}

function describe(stats: Stats | undefined): string {
  if (stats === undefined) return '-';
  const { ino, size, mtimeMs, ctimeMs, mode } = stats;
  return [ino, size, mtimeMs, ctimeMs, mode].join(':');
}

function namesBelow(path: string): readonly string[] {
  return entriesBelow(path).map(({ name }) => join(path, name));
}

function directoriesBelow(path: string): readonly string[] {
  return entriesBelow(path)
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `${join(path, name)}/`);
}

function entriesBelow(path: string): readonly Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (error) {
    // What cannot be read is no part of what was made.
    if (isErrno(error, 'EACCES', 'ENOENT')) return [];
    throw error;
  }
}
