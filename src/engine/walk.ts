import type { Stats } from 'node:fs';
import { lstatSync, readdirSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** One name below a directory. Paths are bytes written as Latin-1 text: file names need not be UTF-8. */
export interface WalkEntry {
  /** Relative to the root of the walk, bytes as Latin-1. */
  readonly path: string;
  /** For system calls. */
  readonly full: Buffer;
  readonly stats: Stats;
}

/** A Latin-1 path as people read it. */
export function displayPath(path: string): string {
  return Buffer.from(path, 'latin1').toString('utf8');
}

// Long enough that yielding costs nothing, short enough that spinners turn and signals are seen.
const entriesPerTurn = 2000;

/**
 * Everything below `root`, each directory's names in byte order, a directory before what is in it. Symbolic links are not
 * followed, other file systems are entered. The synchronous calls are several times faster here than the asynchronous
 * ones; the loop gives way to others now and then.
 * @param without paths to leave out with all below them; they begin with `root`.
 */
export async function* walkTree(root: string, without: readonly string[] = []): AsyncGenerator<WalkEntry> {
  const pending: string[] = namesOf(Buffer.from(root)).reverse();
  const prefix = latin1(`${root}/`);
  const skipped = new Set(without.map(latin1));
  let sinceTurn = 0;
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (skipped.has(prefix + path)) continue;
    const full = Buffer.from(prefix + path, 'latin1');
    const stats = lstatSync(full);
    yield { path, full, stats };
    if (stats.isDirectory()) {
      for (const name of namesOf(full).reverse()) pending.push(`${path}/${name}`);
    }
    sinceTurn += 1;
    if (sinceTurn % entriesPerTurn === 0) await nextTurn();
  }
}

function latin1(text: string): string {
  return Buffer.from(text).toString('latin1');
}

function namesOf(directory: Buffer): string[] {
  // Latin-1 text compares as its bytes do.
  return readdirSync(directory, { encoding: 'latin1' }).sort();
}
