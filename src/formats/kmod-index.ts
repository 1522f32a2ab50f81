/**
 * Writer of the binary indexes that libkmod searches (modules.dep.bin, modules.alias.bin ...): a tree of shared prefixes, as
 * kmod's shared/util and libkmod-index.h define it. Integers are big-endian. From the same entries depmod makes the same
 * bytes.
 */

export interface KmodIndexEntry {
  /** Printable ASCII, with `_` for `-` where depmod does so. */
  readonly key: string;
  readonly value: string;
  /** Order among values of one key; depmod uses the module's place in modules.dep. */
  readonly priority: number;
}

export const kmodIndexMagic = 0xb007f457;
const version = 0x0002_0001;
export const kmodIndexHeaderSize = 12;
export const kmodIndexFlags = { prefix: 0x8000_0000, values: 0x4000_0000, children: 0x2000_0000 } as const;

interface Value {
  readonly value: string;
  readonly priority: number;
}

interface Node {
  prefix: string;
  children: Map<number, Node>;
  values: Value[];
}

/** @throws Error (internal) for keys that are not ASCII: kmod's tree has 128 children. */
export function writeKmodIndex(entries: Iterable<KmodIndexEntry>): Buffer {
  const root: Node = emptyNode('');
  for (const entry of entries) insert(root, entry);
  const parts: Buffer[] = [Buffer.alloc(kmodIndexHeaderSize)];
  const rootOffset = placeNode(root, parts, kmodIndexHeaderSize);
  parts[0]?.writeUInt32BE(kmodIndexMagic, 0);
  parts[0]?.writeUInt32BE(version, 4);
  parts[0]?.writeUInt32BE(rootOffset.flagged, 8);
  return Buffer.concat(parts);
}

function emptyNode(prefix: string): Node {
  return { prefix, children: new Map(), values: [] };
}

function insert(root: Node, { key, value, priority }: KmodIndexEntry): void {
  if (!/^[\x01-\x7f]*$/.test(key)) throw new Error(`internal: key of a module index is not ASCII: ${key}`);
  let node = root;
  let rest = key;
  for (;;) {
    const common = commonLength(node.prefix, rest);
    if (common < node.prefix.length) split(node, common);
    rest = rest.slice(common);
    if (rest === '') break;
    const first = rest.charCodeAt(0);
    rest = rest.slice(1);
    const child = node.children.get(first);
    if (child === undefined) {
      const leaf = emptyNode(rest);
      node.children.set(first, leaf);
      node = leaf;
      break;
    }
    node = child;
  }
  const place = node.values.findIndex((other) => other.priority >= priority);
  node.values.splice(place < 0 ? node.values.length : place, 0, { value, priority });
}

function commonLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

/** Cuts a node in two: the upper one keeps `length` characters of the prefix, the rest moves down. */
function split(node: Node, length: number): void {
  const lower: Node = { prefix: node.prefix.slice(length + 1), children: node.children, values: node.values };
  node.children = new Map([[node.prefix.charCodeAt(length), lower]]);
  node.values = [];
  node.prefix = node.prefix.slice(0, length);
}

/**
 * Appends a node and everything below it, as kmod 34 and later order them: a node before its children. Answers the node's
 * place with the flags that say what stands there, and the end of its last descendant.
 */
function placeNode(
  node: Node,
  parts: Buffer[],
  start: number,
): { readonly flagged: number; readonly end: number } {
  const codes = [...node.children.keys()].sort((a, b) => a - b);
  const [first, last] = [codes[0] ?? 0, codes.at(-1) ?? 0];
  const table = Buffer.alloc(codes.length === 0 ? 0 : 2 + 4 * (last - first + 1));
  const prefix = node.prefix === '' ? Buffer.alloc(0) : Buffer.from(`${node.prefix}\0`, 'latin1');
  const values = node.values.length === 0 ? Buffer.alloc(0) : valuesPart(node.values);
  parts.push(prefix, table, values);
  let end = start + prefix.length + table.length + values.length;
  table.set(codes.length === 0 ? [] : [first, last]);
  for (const code of codes) {
    const child = node.children.get(code);
    if (child === undefined) continue;
    const placed = placeNode(child, parts, end);
    table.writeUInt32BE(placed.flagged, 2 + 4 * (code - first));
    end = placed.end;
  }
  let flagged = start;
  if (prefix.length > 0) flagged += kmodIndexFlags.prefix;
  if (values.length > 0) flagged += kmodIndexFlags.values;
  if (table.length > 0) flagged += kmodIndexFlags.children;
  return { flagged, end };
}

function valuesPart(values: readonly Value[]): Buffer {
  const parts = values.map(({ value, priority }) =>
    Buffer.concat([uint32(priority), Buffer.from(`${value}\0`)]),
  );
  return Buffer.concat([uint32(values.length), ...parts]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
