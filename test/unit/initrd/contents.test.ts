import { describe, expect, it } from 'vitest';
import { bufferSource } from '../../../src/formats/bytes.ts';
import type { NewcEntry } from '../../../src/formats/newc.ts';
import { fileType, writeNewc } from '../../../src/formats/newc.ts';
import type { UnpackedSegment } from '../../../src/initrd/contents.ts';
import { followLinks, readContents } from '../../../src/initrd/contents.ts';

type Member = readonly [path: string, kind: 'd' | 'f' | `-> ${string}`];

/** `d` is a directory, `f` a file, `-> TARGET` a link. */
function entry([path, kind]: Member): NewcEntry {
  const common = { path: Buffer.from(path), uid: 0, gid: 0, mtime: 0 };
  if (kind === 'd') return { ...common, mode: fileType.directory | 0o755 };
  if (kind === 'f') return { ...common, mode: fileType.regular | 0o755, content: Buffer.from('x') };
  return { ...common, mode: fileType.symlink | 0o777, content: Buffer.from(kind.slice(3)) };
}

async function segment(
  members: readonly Member[],
  encoding: UnpackedSegment['encoding'] = 'none',
): Promise<UnpackedSegment> {
  const chunks: Buffer[] = [];
  // One archive for each: the writer refuses what these tests are about.
  for (const member of members)
    for await (const chunk of writeNewc([flat(entry(member))], { epoch: 0 })) chunks.push(chunk);
  const data = Buffer.concat(chunks.map((chunk) => chunk.subarray(0, chunk.length - trailerSize)));
  [...members]
    .sort(([left], [right]) => right.length - left.length)
    .forEach(([path]) => restoreSlashes(data, path));
  return { encoding, offset: 0, size: data.length, archive: bufferSource(data), start: 0 };
}

const trailerSize = 124;

/** A name without slashes of the same length, which the writer takes without its directory. */
function flat(entry: NewcEntry): NewcEntry {
  return { ...entry, path: Buffer.from(entry.path.toString().replaceAll('/', '\u0001')) };
}

function restoreSlashes(data: Buffer, path: string): void {
  const name = Buffer.from(path.replaceAll('/', '\u0001'));
  for (let at = data.indexOf(name); at >= 0; at = data.indexOf(name, at + 1)) data.write(path, at);
}

async function faults(...segments: readonly (readonly Member[])[]): Promise<readonly string[]> {
  const read = readContents(await Promise.all(segments.map((members) => segment(members))));
  return read.faults.map(({ message }) => message);
}

const init: Member = ['init', 'f'];

describe('readContents', () => {
  it('accepts directories before what is in them, in each segment', async () => {
    expect(
      await faults(
        [init, ['usr', 'd'], ['usr/a', 'f']],
        [
          ['usr', 'd'],
          ['usr/b', 'f'],
        ],
      ),
    ).toEqual([]);
  });

  it('finds what comes without its directory', async () => {
    expect(await faults([init, ['usr/a', 'f'], ['usr', 'd']])).toEqual([
      'usr/a comes without its directory usr/ before it',
    ]);
  });

  it('follows links in the middle of a path', async () => {
    expect(
      await faults([init, ['usr', 'd'], ['usr/lib', 'd'], ['lib', '-> usr/lib'], ['lib/a', 'f']]),
    ).toEqual([]);
    expect(await faults([init, ['lib', '-> gone'], ['lib/a', 'f']])).toHaveLength(1);
  });

  it('finds a directory that takes the place of a link of an earlier segment', async () => {
    const first: readonly Member[] = [init, ['usr', 'd'], ['usr/lib', 'd'], ['lib', '-> usr/lib']];
    expect(
      await faults(first, [
        ['lib', 'd'],
        ['lib/x', 'f'],
      ]),
    ).toEqual(['the directory lib/ takes the place of a symbolic link']);
  });

  it('finds a link that would have to replace a directory that is not empty', async () => {
    expect(await faults([init, ['lib', 'd'], ['lib/a', 'f']], [['lib', '-> usr/lib']])).toEqual([
      'a symbolic link lib cannot replace a directory that is not empty',
    ]);
  });

  it('takes a later file for the same path as the one that counts', async () => {
    const read = readContents([await segment([init, ['a', 'f']]), await segment([['a', 'f']])]);
    expect(read.nodes.get('a')?.segment).toBe(1);
    expect(read.faults).toEqual([]);
  });

  it('finds microcode behind what is compressed', async () => {
    const microcode: readonly Member[] = [
      ['kernel', 'd'],
      ['kernel/x86', 'd'],
      ['kernel/x86/microcode', 'd'],
      ['kernel/x86/microcode/GenuineIntel.bin', 'f'],
    ];
    const [early, base] = [await segment(microcode), await segment([init], 'zstd')];
    expect(readContents([early, base]).faults).toEqual([]);
    expect(readContents([base, early]).faults).toMatchObject([
      { message: expect.stringContaining('looked for only in the uncompressed archives') as string },
    ]);
  });

  it('says when there is no /init, or when it leads nowhere', async () => {
    expect(await faults([['a', 'f']])).toEqual([
      'there is no /init: the kernel will not use this initrd by itself',
    ]);
    expect(await faults([['init', '-> usr/lib/systemd/systemd']])).toEqual([
      '/init points to usr/lib/systemd/systemd, which is not there',
    ]);
  });

  it('finds paths that lead upwards', async () => {
    expect(await faults([init, ['../etc', 'f']])).toContain('../etc leads upwards');
  });
});

describe('followLinks', () => {
  it('ends in circles', async () => {
    const { nodes } = readContents([await segment([init, ['a', '-> b'], ['b', '-> a']])]);
    expect(followLinks('a/x', nodes)).toBeUndefined();
  });

  it('stays inside', async () => {
    const { nodes } = readContents([await segment([init, ['a', '-> ../../etc']])]);
    expect(followLinks('a/passwd', nodes)).toBe('etc/passwd');
  });
});

/** An archive as other programs make it: what the writer here refuses to write. */
function rawArchive(
  members: readonly {
    readonly name: string | Buffer;
    readonly data?: string | Buffer;
    readonly mode?: number;
    readonly links?: number;
    readonly checksum?: number;
  }[],
): Buffer {
  const padded = (data: Buffer): Buffer => Buffer.concat([data, Buffer.alloc((4 - (data.length % 4)) % 4)]);
  const parts = [...members, { name: 'TRAILER!!!', mode: 0 }].map(
    ({ name, data = '', mode = fileType.regular | 0o755, links = 1, checksum }) => {
      const [path, content] = [Buffer.from(`${name.toString()}\0`), Buffer.from(data)];
      const fields = [7, mode, 0, 0, links, 0, content.length, 0, 0, 0, 0, path.length, checksum ?? 0];
      const magic = checksum === undefined ? '070701' : '070702';
      const header = magic + fields.map((field) => field.toString(16).padStart(8, '0')).join('');
      return Buffer.concat([padded(Buffer.concat([Buffer.from(header), path])), padded(content)]);
    },
  );
  return Buffer.concat(parts);
}

function readRaw(
  data: Buffer,
  encoding: UnpackedSegment['encoding'] = 'none',
): ReturnType<typeof readContents> {
  return readContents([{ encoding, offset: 0, size: data.length, archive: bufferSource(data), start: 0 }]);
}

describe('archives of other programs', () => {
  const messages = (data: Buffer): readonly string[] => readRaw(data).faults.map(({ message }) => message);
  const directories = ['kernel', 'kernel/x86', 'kernel/x86/microcode'];
  const microcode = (prefix: string, data: Buffer): Buffer =>
    rawArchive([
      { name: 'init' },
      ...directories.map((name) => ({ name: prefix + name, mode: fileType.directory | 0o755 })),
      { name: `${prefix}kernel/x86/microcode/GenuineIntel.bin`, data },
    ]);

  it('have their checksums verified', () => {
    expect(messages(rawArchive([{ name: 'init', data: 'abc', checksum: 294 }]))).toEqual([]);
    expect(messages(rawArchive([{ name: 'init', data: 'abc', checksum: 1 }]))).toEqual([
      'init does not have the checksum that its header tells',
    ]);
  });

  it('may be several in what was packed as one', () => {
    const both = Buffer.concat([
      rawArchive([{ name: 'init' }]),
      Buffer.alloc(8),
      rawArchive([{ name: 'other' }]),
    ]);
    const { nodes, faults } = readRaw(both, 'zstd');
    expect([[...nodes.keys()], faults]).toEqual([['init', 'other'], []]);
    expect(readRaw(Buffer.concat([both, Buffer.from('junk')]), 'zstd').faults).toHaveLength(1);
  });

  it('have the content of a file of several names with one of them', () => {
    const { nodes } = readRaw(
      rawArchive([
        { name: 'init', links: 2 },
        { name: 'other', links: 2, data: 'content' },
      ]),
    );
    expect([nodes.get('init')?.member.size, nodes.get('other')?.member.size]).toEqual([7, 7]);
  });

  it('bring microcode by its exact name, and not packed', () => {
    const plain = Buffer.from('0100000000000000', 'hex');
    expect(messages(microcode('', plain))).toEqual([]);
    expect(messages(microcode('./', plain))).toContainEqual(expect.stringContaining('begins with ./'));
    expect(messages(microcode('', Buffer.from('fd377a585a000000', 'hex')))).toContainEqual(
      expect.stringContaining('is compressed'),
    );
  });

  it('start a program, and nothing else', () => {
    expect(messages(rawArchive([{ name: 'init', mode: fileType.regular | 0o644 }]))).toEqual([
      '/init is no program that can be started',
    ]);
    expect(messages(rawArchive([{ name: 'init', mode: fileType.directory | 0o755 }]))).toHaveLength(1);
    expect(messages(rawArchive([{ name: 'init', mode: fileType.symlink | 0o777, data: 'gone' }]))).toEqual([
      '/init points to gone, which is not there',
    ]);
  });
});
