import { MkimgError } from '../base/errors.ts';
import { fnmatch, fnmatchBeginning } from './fnmatch.ts';
import { kmodIndexFlags as flags, kmodIndexHeaderSize, kmodIndexMagic } from './kmod-index.ts';

/** Finds values in a binary index of depmod (modules.alias.bin, modules.dep.bin ...) as libkmod does. */
export interface KmodIndex {
  /** Values of all keys that match, which may be patterns; those of the highest priority (lowest number) first. */
  lookup(key: string): readonly string[];
  /** All values, by the bytes of their keys. */
  values(): readonly string[];
}

/** Deeper than any key is long. */
const maximumDepth = 4096;

/** @throws MkimgError `bad-module-index` when this is no such index; its lookup throws it where the index is damaged. */
export function openKmodIndex(index: Buffer): KmodIndex {
  if (index.length < kmodIndexHeaderSize || index.readUInt32BE(0) !== kmodIndexMagic) throw damaged();
  if (index.readUInt16BE(4) !== 2) throw damaged();
  const root = index.readUInt32BE(8);
  return {
    values: () => readable(() => valuesBelow(index, root, 0)),
    lookup(key) {
      const found: Value[] = [];
      readable(() => search(index, { root, key, found }));
      found.sort((left, right) => left.priority - right.priority);
      return [...new Set(found.map(({ value }) => value))];
    },
  };
}

function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) throw damaged();
    throw error;
  }
}

function valuesBelow(index: Buffer, place: number, depth: number): readonly string[] {
  if (depth > maximumDepth) throw damaged();
  const { values, children } = readNode(index, place);
  const below = children.flatMap(([, child]) => valuesBelow(index, child, depth + 1));
  return [...values.map(({ value }) => value), ...below];
}

interface Value {
  readonly value: string;
  readonly priority: number;
}

interface Search {
  readonly root: number;
  readonly key: string;
  readonly found: Value[];
}

interface Node {
  readonly prefix: string;
  child(code: number): number | undefined;
  readonly children: readonly (readonly [code: number, place: number])[];
  readonly values: readonly Value[];
}

const wildcards: readonly string[] = ['*', '?', '['];

function search(index: Buffer, { root, key, found }: Search): void {
  let place: number | undefined = root;
  for (let at = 0; place !== undefined;) {
    const node = readNode(index, place);
    for (let length = 0; length < node.prefix.length; length++) {
      const character = node.prefix.charAt(length);
      if (wildcards.includes(character)) {
        collect(index, { node, pattern: node.prefix.slice(length), rest: key.slice(at + length), found });
        return;
      }
      if (character !== key[at + length]) return;
    }
    at += node.prefix.length;
    for (const wildcard of wildcards) {
      const child = node.child(wildcard.charCodeAt(0));
      if (child === undefined) continue;
      const below = readNode(index, child);
      collect(index, { node: below, pattern: wildcard + below.prefix, rest: key.slice(at), found });
    }
    if (at >= key.length) {
      if (at === key.length) found.push(...node.values);
      return;
    }
    place = node.child(key.charCodeAt(at));
    at += 1;
  }
}

interface Collection {
  readonly node: Node;
  /** From the first wildcard on to the end of the node's prefix. */
  readonly pattern: string;
  /** What of the key is not matched yet. */
  readonly rest: string;
  readonly found: Value[];
}

/** From a wildcard on patterns are compared one by one, as far as their beginnings fit. */
function collect(index: Buffer, { node, pattern, rest, found }: Collection): void {
  if (pattern.length > maximumDepth) throw damaged();
  if (!fnmatchBeginning(pattern, rest)) return;
  if (node.values.length > 0 && fnmatch(pattern, rest)) found.push(...node.values);
  for (const [code, place] of node.children) {
    const below = readNode(index, place);
    const longer = pattern + String.fromCharCode(code) + below.prefix;
    collect(index, { node: below, pattern: longer, rest, found });
  }
}

function readNode(index: Buffer, place: number): Node {
  let at = place % 2 ** 28;
  let prefix = '';
  if ((place & flags.prefix) !== 0) {
    const end = index.indexOf(0, at);
    if (end < 0) throw damaged();
    prefix = index.toString('latin1', at, end);
    at = end + 1;
  }
  const children: [number, number][] = [];
  if ((place & flags.children) !== 0) {
    const [first, last] = [index.readUInt8(at), index.readUInt8(at + 1)];
    for (let code = first; code <= last; code++) {
      const child = index.readUInt32BE(at + 2 + 4 * (code - first));
      // Children stand behind their parents in files of kmod 34, before them in older ones; never at themselves.
      if (child !== 0) children.push([code, child]);
    }
    at += 2 + 4 * (last - first + 1);
  }
  const values = (place & flags.values) === 0 ? [] : readValues(index, at);
  return {
    ...{ prefix, children, values },
    child: (code) => children.find(([other]) => other === code)?.[1],
  };
}

function readValues(index: Buffer, start: number): readonly Value[] {
  const values: Value[] = [];
  let at = start + 4;
  for (let left = index.readUInt32BE(start); left > 0; left--) {
    const end = index.indexOf(0, at + 4);
    if (end < 0) throw damaged();
    values.push({ priority: index.readUInt32BE(at), value: index.toString('latin1', at + 4, end) });
    at = end + 1;
  }
  return values;
}

function damaged(): MkimgError {
  return new MkimgError('bad-module-index', 'damaged index of kernel modules');
}
