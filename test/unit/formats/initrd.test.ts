import { compress } from '@mongodb-js/zstd';
import fc from 'fast-check';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { bufferSource } from '../../../src/formats/bytes.ts';
import { scanInitrd } from '../../../src/formats/initrd.ts';
import { fileType, writeNewc } from '../../../src/formats/newc.ts';
import { readXzStream } from '../../../src/formats/xz-stream.ts';
import { readZstdFrame } from '../../../src/formats/zstd-frame.ts';

async function archive(name: string, content = 'content'): Promise<Buffer> {
  const entry = { path: Buffer.from(name), content: Buffer.from(content), mode: fileType.regular | 0o644 };
  const chunks: Buffer[] = [];
  for await (const chunk of writeNewc([{ ...entry, uid: 0, gid: 0, mtime: 0 }], { epoch: 0 }))
    chunks.push(chunk);
  return Buffer.concat(chunks);
}

function padded(data: Buffer, alignment = 4): Buffer {
  return Buffer.concat([data, Buffer.alloc((alignment - (data.length % alignment)) % alignment)]);
}

/** `printf hello | xz --check=C`, so that no xz is needed here. */
const xzStreams = {
  crc32: '/Td6WFoAAAFpIt42AgAhARYAAAB0L+WjAQAEaGVsbG8AAAAAhqYQNgABGQW86OzLkEKZDQEAAAAAAVla',
  crc64: '/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAEaGVsbG8AAAAAsTe52+XaHpsAAR0FuC2Arx+2830BAAAAAARZWg==',
};
const xz = (check: keyof typeof xzStreams): Buffer => Buffer.from(xzStreams[check], 'base64');

function scan(...parts: readonly Buffer[]) {
  return scanInitrd(bufferSource(Buffer.concat(parts)));
}

describe('scanInitrd', () => {
  it('finds each archive of a chain, whatever packs it', async () => {
    const first = padded(await archive('kernel'), 512);
    const zstd = await compress(await archive('b'), 3);
    const gzip = gzipSync(await archive('c'));
    const last = await archive('d');
    const { segments, faults } = scan(padded(Buffer.concat([first, zstd, xz('crc32'), gzip])), last);
    expect(faults).toEqual([]);
    expect(segments.map(({ encoding }) => encoding)).toEqual(['none', 'zstd', 'xz', 'gzip', 'none']);
    expect(segments.map(({ size }) => size).slice(1, 4)).toEqual([
      zstd.length,
      xz('crc32').length,
      gzip.length,
    ]);
  });

  it('takes an uncompressed archive only at a multiple of 4 bytes', async () => {
    const { segments, faults } = scan(await archive('a'), Buffer.alloc(3), await archive('b'));
    expect(segments).toHaveLength(1);
    expect(faults).toMatchObject([
      { severity: 'error', message: 'an uncompressed archive must begin at a multiple of 4 bytes' },
    ]);
  });

  it('names the byte where junk begins', async () => {
    const first = await archive('a');
    expect(scan(first, Buffer.from('junk')).faults).toMatchObject([
      { offset: first.length, message: 'neither a newc archive nor compressed data' },
    ]);
  });

  it('refuses skippable frames of Zstandard, which the kernel does not know', () => {
    const skippable = Buffer.from('502a4d1804000000deadbeef', 'hex');
    expect(scan(skippable).faults).toHaveLength(1);
  });

  it.each([
    ['an LZ4 frame', '04224d18', 'an LZ4 frame'],
    ['a skippable frame', '502a4d18', 'a skippable Zstandard frame'],
  ])('tells of %s how it is called', (_, bytes, words) => {
    expect(scan(Buffer.from(`${bytes}00000000`, 'hex')).faults).toMatchObject([
      { message: expect.stringContaining(words) as string },
    ]);
  });

  it('tells of an archive of the old form how it is called', () => {
    expect(scan(Buffer.from('070707'.padEnd(120, '0'))).faults).toMatchObject([
      { message: expect.stringContaining('cpio -H newc') as string },
    ]);
  });

  it('leaves a boot configuration at the end alone', async () => {
    const text = Buffer.from('kernel.quiet\n\0\0');
    const footer = Buffer.alloc(8);
    footer.writeUInt32LE(text.length, 0);
    footer.writeUInt32LE(
      text.reduce((sum, byte) => sum + byte, 0),
      4,
    );
    const first = await archive('init');
    const whole = [first, text, footer, Buffer.from('#BOOTCONFIG\n')];
    expect(scan(...whole)).toEqual({
      segments: [{ encoding: 'none', offset: 0, size: first.length }],
      faults: [],
    });
    footer.writeUInt32LE(1, 4);
    expect(scan(...whole).faults).toHaveLength(1);
  });

  it('refuses checks of xz that the kernel cannot compute', () => {
    expect(scan(xz('crc64')).faults).toMatchObject([
      { message: 'the xz stream has a crc64 check; the kernel takes only crc32 or none' },
    ]);
  });

  it('finds an empty file faulty, and one of zeros', () => {
    expect(scan().faults).toMatchObject([{ message: 'the initrd is empty' }]);
    expect(scan(Buffer.alloc(5000)).faults).toHaveLength(1);
  });

  it('neither fails nor hangs on any bytes', async () => {
    const base = Buffer.concat([await archive('a'), await compress(await archive('b'), 3), xz('crc32')]);
    const change = fc.record({ at: fc.nat(base.length - 1), byte: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 8 }), fc.nat(base.length), (changes, length) => {
        const data = Buffer.from(base);
        for (const { at, byte } of changes) data[at] = byte;
        const { segments } = scan(data.subarray(0, length));
        for (const { offset, size } of segments) expect(offset + size).toBeLessThanOrEqual(length);
      }),
    );
  });
});

/** A frame with one raw block, and the header fields that are asked for. */
function zstdFrame(descriptor: number, fields: string, content = Buffer.from('hello')): Buffer {
  const block = Buffer.alloc(3);
  block.writeUIntLE((content.length << 3) | 1, 0, 3);
  return Buffer.concat([
    Buffer.from([0x28, 0xb5, 0x2f, 0xfd, descriptor]),
    Buffer.from(fields, 'hex'),
    block,
    content,
  ]);
}

describe('readZstdFrame', () => {
  it('ends where the frame ends', async () => {
    const data = await compress(Buffer.alloc(300_000, 'abc'), 19);
    expect(readZstdFrame(bufferSource(Buffer.concat([data, Buffer.from('rest')]))).size).toBe(data.length);
  });

  it.each([
    ['one byte', 0x20, '05', 5],
    ['two bytes, counted from 256 on', 0x60, '0500', 261],
    ['four bytes', 0xa0, '00000100', 65_536],
    ['eight bytes', 0xe0, '0000000001000000', 2 ** 32],
    ['no byte', 0x00, '00', undefined],
  ])('reads a content size of %s', (...[, descriptor, fields, contentSize]) => {
    expect(readZstdFrame(bufferSource(zstdFrame(descriptor, fields))).contentSize).toBe(contentSize);
  });

  it('reads the size of the window', () => {
    expect(readZstdFrame(bufferSource(zstdFrame(0, '00'))).windowSize).toBe(1024);
    expect(readZstdFrame(bufferSource(zstdFrame(0, '8b'))).windowSize).toBe((128 << 20) * 1.375);
    expect(scan(zstdFrame(0, '8b')).faults).toMatchObject([
      { message: 'the Zstandard frame needs a window of more than 128 MiB' },
    ]);
  });

  it('tells a dictionary from none', () => {
    expect(readZstdFrame(bufferSource(zstdFrame(0x21, '0705'))).hasDictionary).toBe(true);
    expect(readZstdFrame(bufferSource(zstdFrame(0x21, '0005'))).hasDictionary).toBe(false);
  });

  it('counts the checksum', () => {
    const frame = Buffer.concat([zstdFrame(0x24, '05'), Buffer.alloc(4)]);
    expect(readZstdFrame(bufferSource(frame)).size).toBe(frame.length);
    expect(() => readZstdFrame(bufferSource(frame.subarray(0, -1)))).toThrow('ends early');
  });
});

describe('readXzStream', () => {
  it('ends where the index accounts for every byte', () => {
    const source = bufferSource(Buffer.concat([Buffer.from('abcd'), xz('crc64'), xz('crc32')]));
    expect(readXzStream(source, 4)).toEqual({ size: xz('crc64').length, check: 'crc64' });
  });

  it('refuses a stream without its end', () => {
    expect(() => readXzStream(bufferSource(xz('crc32').subarray(0, -4)))).toThrow('has no end');
  });
});
