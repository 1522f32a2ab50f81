/** What a sample ELF file says; all else of it is empty. */
export interface SampleElf {
  readonly bits?: 32 | 64;
  readonly bigEndian?: boolean;
  readonly machine?: number;
  readonly notes?: readonly {
    readonly owner?: string;
    readonly type?: number;
    readonly content: string | Buffer;
  }[];
  readonly needed?: readonly string[];
  readonly soname?: string;
  readonly runpath?: string;
}

/** A note of libraries that are opened, as systemd writes it. */
export function dlopenNote(
  sonames: readonly string[],
  fields: Readonly<Record<string, string>> = {},
): { readonly content: string } {
  return { content: `${JSON.stringify([{ soname: sonames, ...fields }])}\0` };
}

/** Writes numbers as a machine has them. */
interface NumberWriter {
  readonly bits: 32 | 64;
  readonly put: (value: number, size: 2 | 4 | 8) => Buffer;
  /** A number as wide as an address. */
  readonly address: (value: number) => Buffer;
}

function numberWriter(bits: 32 | 64, bigEndian: boolean): NumberWriter {
  const put = (value: number, size: 2 | 4 | 8): Buffer => {
    const bytes = Buffer.alloc(size);
    if (size === 8) bytes.writeBigUInt64LE(BigInt(value));
    else bytes.writeUIntLE(value, 0, size);
    return bigEndian ? bytes.reverse() : bytes;
  };
  return { bits, put, address: (value) => put(value, bits === 64 ? 8 : 4) };
}

/** Where the file would be in memory. */
const base = 0x10000;

/** Writes an ELF file with program headers for notes and dynamic linking. */
export function sampleElf(sample: SampleElf): Buffer {
  const { bits = 64, bigEndian = false, machine = 62 } = sample;
  const writer = numberWriter(bits, bigEndian);
  const { put, address } = writer;
  const notes = noteBytes(sample.notes ?? [], writer);
  const headerSize = bits === 64 ? 64 : 52;
  const entrySize = bits === 64 ? 56 : 32;
  const segmentCount = 3;
  const noteAt = headerSize + entrySize * segmentCount;
  const tableAt = noteAt + notes.length;
  const { table, dynamic } = dynamicSection(sample, tableAt, writer);
  const dynamicAt = tableAt + table.length;
  const segments: readonly Segment[] = [
    { type: 1, offset: 0, size: dynamicAt + dynamic.length },
    { type: 4, offset: noteAt, size: notes.length },
    { type: 2, offset: dynamicAt, size: dynamic.length },
  ];
  const identity = Buffer.from([0x7f, 0x45, 0x4c, 0x46, bits === 64 ? 2 : 1, bigEndian ? 2 : 1, 1, 0]);
  const header = Buffer.concat([
    ...[identity, Buffer.alloc(8), put(3, 2), put(machine, 2), put(1, 4)],
    ...[address(0), address(headerSize), address(0), put(0, 4)],
    ...[put(headerSize, 2), put(entrySize, 2), put(segmentCount, 2), put(0, 2), put(0, 2), put(0, 2)],
  ]);
  return Buffer.concat([
    header,
    ...segments.map((segment) => programHeader(segment, writer)),
    ...[notes, table, dynamic],
  ]);
}

function noteBytes(notes: NonNullable<SampleElf['notes']>, { put }: NumberWriter): Buffer {
  const padded = (bytes: Buffer): Buffer =>
    Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
  const parts = notes.flatMap(({ owner = 'FDO', type = 0x407c0c0a, content }) => {
    const [name, bytes] = [Buffer.from(`${owner}\0`), Buffer.from(content)];
    return [put(name.length, 4), put(bytes.length, 4), put(type, 4), padded(name), padded(bytes)];
  });
  return Buffer.concat(parts);
}

/** The table of strings and the dynamic section that names them. */
function dynamicSection(
  { needed = [], soname, runpath }: SampleElf,
  tableAt: number,
  { address }: NumberWriter,
): { readonly table: Buffer; readonly dynamic: Buffer } {
  const texts = [
    ...needed.map((name) => [1, name] as const),
    ...(soname === undefined ? [] : [[14, soname] as const]),
    ...(runpath === undefined ? [] : [[29, runpath] as const]),
  ];
  let table = Buffer.from('\0');
  const tags = texts.map(([tag, text]) => {
    const offset = table.length;
    table = Buffer.concat([table, Buffer.from(`${text}\0`)]);
    return [tag, offset] as const;
  });
  const all = [...tags, [5, base + tableAt] as const, [10, table.length] as const, [0, 0] as const];
  return { table, dynamic: Buffer.concat(all.flatMap(([tag, value]) => [address(tag), address(value)])) };
}

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
}

function programHeader({ type, offset, size }: Segment, { bits, put, address }: NumberWriter): Buffer {
  const places = [address(offset), address(base + offset), address(base + offset)];
  const sizes = [address(size), address(size)];
  return bits === 64
    ? Buffer.concat([put(type, 4), put(4, 4), ...places, ...sizes, address(4)])
    : Buffer.concat([put(type, 4), ...places, ...sizes, put(4, 4), put(4, 4)]);
}
