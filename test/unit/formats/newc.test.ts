import fc from 'fast-check';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { bufferSource } from '../../../src/formats/bytes.ts';
import type { NewcEntry } from '../../../src/formats/newc.ts';
import { fileType, writeNewc } from '../../../src/formats/newc.ts';
import { isNewc, memberData, readNewc } from '../../../src/formats/newc-reader.ts';

const scratch = mkdtempSync('/tmp/mkimg-newc-');
afterAll(() => rmSync(scratch, { recursive: true }));

async function archive(entries: readonly NewcEntry[], epoch = 0xffff_ffff, padTo?: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const options = padTo === undefined ? { epoch } : { epoch, padTo };
  for await (const chunk of writeNewc(entries, options)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function file(path: string | Buffer, content = '', more: Partial<NewcEntry> = {}): NewcEntry {
  const bytes = { path: Buffer.from(path), content: Buffer.from(content) };
  return { ...bytes, mode: fileType.regular | 0o644, uid: 0, gid: 0, mtime: 1, ...more };
}

function directory(path: string): NewcEntry {
  return { path: Buffer.from(path), mode: fileType.directory | 0o755, uid: 0, gid: 0, mtime: 1 };
}

function members(data: Buffer) {
  return [...readNewc(bufferSource(data))];
}

describe('newc archives', () => {
  it('have the bytes that the format document shows', async () => {
    const data = await archive([file('a', 'hi', { uid: 1, gid: 0x2a, mtime: 0x10 })]);
    const header =
      '070701' +
      ['00000001', '000081a4', '00000001', '0000002a', '00000001', '00000010', '00000002'].join('') +
      ['00000000', '00000000', '00000000', '00000000', '00000002', '00000000'].join('');
    expect(data.toString('latin1', 0, 116)).toBe(`${header}a\0hi\0\0`);
    expect(data.toString('latin1', 116)).toMatch(
      /^070701(0{8}){4}00000001(0{8}){6}0000000b0{8}TRAILER!!!\0{4}$/,
    );
  });

  it('hold any names, modes, owners, times and contents', async () => {
    const names = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => {
      const name = Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0xff : byte)));
      return name.toString('latin1');
    });
    const word = fc.integer({ min: 0, max: 0xffff_ffff });
    const tree = fc.dictionary(
      names,
      fc.record({
        ...{ mode: fc.integer({ min: 0, max: 0o7777 }), uid: word, gid: word, mtime: word },
        content: fc.uint8Array({ maxLength: 200 }),
      }),
    );
    await fc.assert(
      fc.asyncProperty(tree, async (specification) => {
        const entries = Object.entries(specification)
          .map(([name, { mode, content, ...rest }]) => ({
            ...{
              path: Buffer.from(name, 'latin1'),
              mode: fileType.regular | mode,
              content: Buffer.from(content),
            },
            ...rest,
          }))
          .sort((left, right) => Buffer.compare(left.path, right.path));
        const data = await archive(entries);
        const source = bufferSource(data);
        const read = [...readNewc(source)];
        expect(read.map(({ path, mode, uid, gid, mtime }) => ({ path, mode, uid, gid, mtime }))).toEqual(
          entries.map(({ path, mode, uid, gid, mtime }) => ({ path, mode, uid, gid, mtime })),
        );
        expect(read.map((member) => memberData(source, member))).toEqual(
          entries.map(({ content }) => content),
        );
        expect(read.every(({ offset }) => offset % 4 === 0)).toBe(true);
      }),
    );
  });

  it('carry the data of a file with several names once, with the last name', async () => {
    const links = { group: 'g', count: 3 };
    const data = await archive([
      file('a', 'data', { links }),
      file('b', 'x'),
      ...['c', 'd'].map((path) => file(path, 'data', { links })),
    ]);
    expect(members(data).map(({ inode, nlink, size }) => [inode, nlink, size])).toEqual([
      [1, 3, 0],
      [2, 1, 1],
      [1, 3, 0],
      [1, 3, 4],
    ]);
  });

  it('refuse a group of links that is not complete', async () => {
    await expect(archive([file('a', '', { links: { group: 'g', count: 2 } })])).rejects.toThrow(
      /fewer links/,
    );
  });

  it('keep device numbers and link targets', async () => {
    const device = { major: 5, minor: 0x12345 };
    const data = await archive([
      directory('dev'),
      {
        path: Buffer.from('dev/console'),
        mode: fileType.characterDevice | 0o600,
        uid: 0,
        gid: 5,
        mtime: 0,
        device,
      },
      { ...file('dev/fd', '/proc/self/fd'), mode: fileType.symlink | 0o777 },
    ]);
    const [dev, console, fd] = members(data);
    expect(dev?.nlink).toBe(2);
    expect(console).toMatchObject({ device, size: 0, mode: fileType.characterDevice | 0o600 });
    expect(fd === undefined ? undefined : memberData(bufferSource(data), fd).toString()).toBe(
      '/proc/self/fd',
    );
  });

  it('clamp times to the epoch and to 32 bits', async () => {
    const times = [-5, 0, 99.9, 100, 101, 2 ** 40];
    const entries = times.map((mtime, index) => file(String(index), '', { mtime }));
    expect(members(await archive(entries, 100)).map(({ mtime }) => mtime)).toEqual([0, 0, 99, 100, 100, 100]);
    expect(members(await archive(entries, 2 ** 40)).at(-1)?.mtime).toBe(0xffff_ffff);
  });

  it('read contents from files, larger than a chunk too, and pad as asked', async () => {
    const content = Buffer.alloc(3 * (1 << 20) + 7, 'abcdefg');
    const path = join(scratch, 'large');
    writeFileSync(path, content);
    const entry = { ...file('large'), content: { file: Buffer.from(path), size: content.length } };
    const data = await archive([entry, file('small', 'x')], 1, 512);
    const source = bufferSource(data);
    const [large, small] = [...readNewc(source)];
    expect(large !== undefined && memberData(source, large).equals(content)).toBe(true);
    expect(small?.size).toBe(1);
    expect(data.length % 512).toBe(0);
  });

  it('refuse a file that shrank, one of 4 GiB, and a name that the kernel skips', async () => {
    const path = join(scratch, 'shrunk');
    writeFileSync(path, 'abc');
    const withSize = (size: number): NewcEntry => ({
      ...file('f'),
      content: { file: Buffer.from(path), size },
    });
    await expect(archive([withSize(4)])).rejects.toMatchObject({ code: 'file-changed' });
    await expect(archive([withSize(2 ** 32)])).rejects.toMatchObject({ code: 'archive-file-too-large' });
    await expect(archive([file('x'.repeat(4096))])).rejects.toMatchObject({ code: 'archive-name-too-long' });
    expect(members(await archive([file('x'.repeat(4095))]))).toHaveLength(1);
  });

  it.each([
    ['unsorted', [file('b'), file('a')]],
    ['twice', [file('a'), file('a')]],
    ['without its directory', [file('a/b')]],
    ['below a file', [file('a'), file('a/b')]],
    ['absolute', [file('/a')]],
    ['empty', [file('')]],
    ['with NUL', [file('a\0b')]],
  ])('refuse a path that is %s', async (_what, entries) => {
    await expect(archive(entries)).rejects.toThrow(/^internal: /);
  });
});

describe('readNewc', () => {
  it('answers where the archive ends, so that the next one can be read', async () => {
    const first = await archive([file('a', 'abc')]);
    const data = Buffer.concat([first, await archive([file('b')])]);
    const reader = readNewc(bufferSource(data));
    let step = reader.next();
    while (step.done !== true) step = reader.next();
    expect(step.value).toBe(first.length);
    expect([...readNewc(bufferSource(data), step.value)].map(({ path }) => path.toString())).toEqual(['b']);
    expect(isNewc(bufferSource(data), step.value)).toBe(true);
  });

  it('reports damage instead of reading past it', async () => {
    const data = await archive([file('a', 'abc'), file('b', 'defgh')]);
    const damaged = fc.tuple(fc.nat(data.length - 1), fc.integer({ min: 1, max: 255 }));
    fc.assert(
      fc.property(damaged, ([offset, change]) => {
        const copy = Buffer.from(data);
        copy[offset] = (copy[offset] ?? 0) ^ change;
        try {
          expect(members(copy).length).toBeLessThanOrEqual(2);
        } catch (error) {
          expect(error).toMatchObject({ code: 'bad-archive' });
        }
      }),
    );
    for (const cut of [0, 50, 112, data.length - 4])
      expect(() => members(data.subarray(0, cut))).toThrow(/CPIO archive/);
  });
});
