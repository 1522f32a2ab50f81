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

/** Writes an ELF file with program headers for notes and dynamic linking. */
export function sampleElf(sample: SampleElf): Buffer {
  const { bits = 64, bigEndian = false, machine = 62, notes = [] } = sample;
  const wide = bits === 64 ? 8 : 4;
  const put = (value: number, size: 2 | 4 | 8): Buffer => {
    const bytes = Buffer.alloc(size);
    if (size === 8) bytes.writeBigUInt64LE(BigInt(value));
    else bytes.writeUIntLE(value, 0, size);
    return bigEndian ? bytes.reverse() : bytes;
  };
  const address = (value: number): Buffer => put(value, wide);
  const padded = (bytes: Buffer): Buffer =>
    Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);

  const noteBytes = Buffer.concat(
    notes.map(({ owner = 'FDO', type = 0x407c0c0a, content }) => {
      const [name, bytes] = [Buffer.from(`${owner}\0`), Buffer.from(content)];
      return Buffer.concat([
        put(name.length, 4),
        put(bytes.length, 4),
        put(type, 4),
        padded(name),
        padded(bytes),
      ]);
    }),
  );
  const strings = ['', ...(sample.needed ?? []), sample.soname ?? '', sample.runpath ?? ''];
  const table = Buffer.from(strings.map((text) => `${text}\0`).join(''));
  const offsetOf = (index: number): number =>
    Buffer.byteLength(
      strings
        .slice(0, index)
        .map((text) => `${text}\0`)
        .join(''),
    );

  const headerSize = bits === 64 ? 64 : 52;
  const entrySize = bits === 64 ? 56 : 32;
  const segmentCount = 3;
  const noteAt = headerSize + entrySize * segmentCount;
  const tableAt = noteAt + noteBytes.length;
  const base = 0x10000;
  const tags: readonly (readonly [number, number])[] = [
    ...(sample.needed ?? []).map((_, index) => [1, offsetOf(index + 1)] as const),
    ...(sample.soname === undefined ? [] : [[14, offsetOf(strings.length - 2)] as const]),
    ...(sample.runpath === undefined ? [] : [[29, offsetOf(strings.length - 1)] as const]),
    ...([
      [5, base + tableAt],
      [10, table.length],
      [0, 0],
    ] as const),
  ];
  const dynamic = Buffer.concat(tags.flatMap(([tag, value]) => [address(tag), address(value)]));
  const dynamicAt = tableAt + table.length;
  const total = dynamicAt + dynamic.length;

  const segment = (type: number, offset: number, size: number): Buffer =>
    bits === 64
      ? Buffer.concat([
          ...[put(type, 4), put(4, 4), address(offset), address(base + offset), address(base + offset)],
          ...[address(size), address(size), address(4)],
        ])
      : Buffer.concat([
          ...[put(type, 4), address(offset), address(base + offset), address(base + offset)],
          ...[address(size), address(size), put(4, 4), put(4, 4)],
        ]);
  const identity = Buffer.from([0x7f, 0x45, 0x4c, 0x46, bits === 64 ? 2 : 1, bigEndian ? 2 : 1, 1, 0]);
  const header = Buffer.concat([
    ...[identity, Buffer.alloc(8), put(3, 2), put(machine, 2), put(1, 4)],
    ...[address(0), address(headerSize), address(0), put(0, 4)],
    ...[put(headerSize, 2), put(entrySize, 2), put(segmentCount, 2), put(0, 2), put(0, 2), put(0, 2)],
  ]);
  return Buffer.concat([
    header,
    ...[segment(1, 0, total), segment(4, noteAt, noteBytes.length), segment(2, dynamicAt, dynamic.length)],
    ...[noteBytes, table, dynamic],
  ]);
}
