/** Small files of binary formats, made by hand. */

export interface SampleSection {
  readonly name: string;
  readonly content: Buffer;
}

/** A PE with these sections; content is padded to 512 bytes as linkers do. */
export function samplePe(machine: number, sections: readonly SampleSection[]): Buffer {
  const optionalSize = 112;
  const headers = Buffer.alloc(0x400);
  headers.write('MZ', 0, 'latin1');
  headers.writeUInt32LE(0x80, 0x3c);
  headers.write('PE\0\0', 0x80, 'latin1');
  headers.writeUInt16LE(machine, 0x84);
  headers.writeUInt16LE(sections.length, 0x86);
  headers.writeUInt16LE(optionalSize, 0x94);
  headers.writeUInt16LE(0x20b, 0x98);
  headers.writeUInt16LE(10, 0x98 + 68);
  const parts = [headers];
  let offset = headers.length;
  for (const [index, { name, content }] of sections.entries()) {
    const header = 0x98 + optionalSize + index * 40;
    const rawSize = Math.ceil(content.length / 512) * 512;
    headers.write(name, header, 8, 'latin1');
    headers.writeUInt32LE(content.length, header + 8);
    headers.writeUInt32LE(0x1000 * (index + 1), header + 12);
    headers.writeUInt32LE(rawSize, header + 16);
    headers.writeUInt32LE(offset, header + 20);
    parts.push(Buffer.concat([content, Buffer.alloc(rawSize - content.length)]));
    offset += rawSize;
  }
  return Buffer.concat(parts);
}

/** The start of an x86 kernel with its setup header and release text. */
export function sampleBzImage(release: string, padding = ''): Buffer {
  const image = Buffer.alloc(0x800);
  image.write('HdrS', 0x202, 'latin1');
  image.writeUInt16LE(0x300, 0x20e);
  image.write(`${release} (builder@host) #1 SMP\0${padding}`, 0x500, 'latin1');
  return image;
}

/** A 64-bit ELF with one section of interest beside its names. */
export function sampleElf(
  section: SampleSection,
  {
    littleEndian = true,
    machine = 62,
    type = 1,
  }: { littleEndian?: boolean; machine?: number; type?: number } = {},
): Buffer {
  const names = Buffer.from(`\0.shstrtab\0${section.name}\0`, 'latin1');
  const table = 64 + names.length + section.content.length;
  const file = Buffer.alloc(table + 3 * 64);
  const half = (value: number, at: number): number =>
    littleEndian ? file.writeUInt16LE(value, at) : file.writeUInt16BE(value, at);
  const word = (value: number, at: number): number =>
    littleEndian ? file.writeUInt32LE(value, at) : file.writeUInt32BE(value, at);
  const long = (value: number, at: number): number =>
    littleEndian ? file.writeBigUInt64LE(BigInt(value), at) : file.writeBigUInt64BE(BigInt(value), at);
  file.write('\x7fELF\x02', 0, 'latin1');
  file[5] = littleEndian ? 1 : 2;
  half(type, 16);
  half(machine, 18);
  long(table, 0x28);
  half(64, 0x3a);
  half(3, 0x3c);
  half(1, 0x3e);
  names.copy(file, 64);
  section.content.copy(file, 64 + names.length);
  word(1, table + 64);
  long(64, table + 64 + 0x18);
  long(names.length, table + 64 + 0x20);
  word(names.indexOf(section.name), table + 128);
  long(64 + names.length, table + 128 + 0x18);
  long(section.content.length, table + 128 + 0x20);
  return file;
}
