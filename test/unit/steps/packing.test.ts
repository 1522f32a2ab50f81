import { chmod, chown, link, mkdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPath } from '../../../src/base/brand.ts';
import { hostPath } from '../../../src/base/brand.ts';
import type { TemporaryDirectory } from '../../../src/base/temporary.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import { bufferSource } from '../../../src/formats/bytes.ts';
import { fileType, writeNewc } from '../../../src/formats/newc.ts';
import { memberData, readNewc } from '../../../src/formats/newc-reader.ts';
import { compressionRun, compressionSuffix } from '../../../src/steps/compression.ts';
import { joinInitrds } from '../../../src/steps/join-initrds.ts';
import { packCpio } from '../../../src/steps/pack-cpio.ts';
import { pickNewest } from '../../../src/steps/pick-newest.ts';
import { toolFreeContext } from './step-context.ts';

let scratch: TemporaryDirectory;
let root: HostPath;
let target: HostPath;
beforeEach(async () => {
  scratch = await temporaryDirectory('/tmp', 'mkimg-packing-');
  root = hostPath(join(scratch.path, 'root'));
  target = hostPath(join(scratch.path, 'target'));
  await mkdir(root);
});
afterEach(() => scratch[Symbol.asyncDispose]());

async function packed(epoch = 1_000_000_000, further: { readonly rootOwned?: true } = {}) {
  const { context, events } = await toolFreeContext(scratch.path);
  const inputs = { tree: { root }, compression: { algorithm: 'none' as const }, epoch, ...further };
  const meta = await packCpio.run(inputs, target, context);
  const source = bufferSource(await readFile(target));
  return { source, members: [...readNewc(source)], events, meta };
}

describe('pack-cpio', () => {
  it('packs names of any bytes, sorted as whole paths', async () => {
    await mkdir(join(root, 'a'));
    for (const name of ['a/b', 'a.c', 'ä', 'z']) await writeFile(join(root, name), name);
    await writeFile(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0x0a])]), '');
    const { members, meta } = await packed();
    expect(members.map(({ path }) => path.toString('latin1'))).toEqual(['a', 'a.c', 'a/b', 'z', 'Ã¤', 'ÿ\n']);
    expect(meta).toMatchObject({ entries: 6 });
  });

  it('keeps modes, links and clamped times', async () => {
    await writeFile(join(root, 'old'), 'x');
    await utimes(join(root, 'old'), 5, 5);
    await writeFile(join(root, 'new'), 'x');
    await chmod(join(root, 'new'), 0o4711);
    await symlink('/etc/passwd', join(root, 'absolute'));
    const { source, members } = await packed(1000);
    const [absolute, young, old] = members;
    expect(absolute?.mode).toBe(fileType.symlink | 0o777);
    expect(absolute === undefined ? undefined : memberData(source, absolute).toString()).toBe('/etc/passwd');
    expect(young).toMatchObject({ mode: fileType.regular | 0o4711, mtime: 1000 });
    expect(old?.mtime).toBe(5);
  });

  it('gives everything to root where it is told to', async () => {
    await mkdir(join(root, 'tmp'));
    await chmod(join(root, 'tmp'), 0o3777);
    await writeFile(join(root, 'tool'), 'x');
    if (process.getuid?.() === 0) await chown(join(root, 'tool'), 0, 42);
    await chmod(join(root, 'tool'), 0o6733);
    await mkdir(join(root, 'under'));
    await chmod(join(root, 'under'), 0o775);
    const { members } = await packed(1000, { rootOwned: true });
    expect(members.map(({ mode, uid, gid }) => [mode & 0o7777, uid, gid])).toEqual([
      [0o1777, 0, 0],
      [0o711, 0, 0],
      [0o755, 0, 0],
    ]);
  });

  it('counts only the names inside the tree as links of a file', async () => {
    await writeFile(join(scratch.path, 'outside'), 'shared');
    await link(join(scratch.path, 'outside'), join(root, 'alone'));
    await writeFile(join(root, 'one'), 'data');
    await link(join(root, 'one'), join(root, 'two'));
    const { members } = await packed();
    expect(members.map(({ nlink, size }) => [nlink, size])).toEqual([
      [1, 6],
      [2, 0],
      [2, 4],
    ]);
    expect(members[1]?.inode).toBe(members[2]?.inode);
  });

  it('leaves sockets out and says so', async () => {
    const server = createServer();
    await new Promise<void>((done) => server.listen(join(root, 'socket'), done));
    try {
      const { members, events } = await packed();
      expect(members).toEqual([]);
      expect(events).toMatchObject([{ type: 'note', level: 'warning', code: 'socket-skipped' }]);
    } finally {
      await new Promise((done) => server.close(done));
    }
  });

  it('gives the same bytes for the same tree made in another order', async () => {
    for (const name of ['b', 'a']) await writeFile(join(root, name), name);
    const first = await packed(1);
    root = hostPath(join(scratch.path, 'other'));
    await mkdir(root);
    for (const name of ['a', 'b']) await writeFile(join(root, name), name);
    const second = await packed(1);
    const bytes = ({ source }: typeof first) => source.read(0, source.size);
    expect(bytes(second)).toEqual(bytes(first));
  });
});

async function archiveOf(name: string, content: string): Promise<Buffer> {
  const common = { uid: 0, gid: 0, mtime: 0 };
  const parents = name.split('/').slice(0, -1);
  const directories = parents.map((_part, index) => ({
    ...{
      path: Buffer.from(parents.slice(0, index + 1).join('/')),
      mode: fileType.directory | 0o755,
      ...common,
    },
  }));
  const file = {
    path: Buffer.from(name),
    mode: fileType.regular | 0o644,
    content: Buffer.from(content),
    ...common,
  };
  const chunks: Buffer[] = [];
  for await (const chunk of writeNewc([...directories, file], { epoch: 0 })) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe('join-initrds', () => {
  async function joined(segments: Readonly<Record<string, Buffer>>, perKernel: readonly string[]) {
    const { context } = await toolFreeContext(scratch.path);
    const kernels = { directory: root, names: ['6.1.vmlinuz', '6.10.vmlinuz'], meta: null };
    for (const [name, content] of Object.entries(segments))
      await writeFile(join(scratch.path, name), content);
    const inputs = {
      segments: Object.keys(segments).map((name) => ({ path: hostPath(join(scratch.path, name)) })),
      kernels,
      perKernel: { directory: root, names: perKernel, meta: null },
    };
    await joinInitrds.run(inputs, target, context);
    return (version: string) => readFile(join(target, `${version}.initrd`));
  }

  it('concatenates segments at offsets that the kernel accepts, the own one last', async () => {
    await writeFile(join(root, '6.1.cpio.zst'), 'own');
    const read = await joined({ one: Buffer.from('12345'), two: Buffer.from('1234') }, [
      '6.1.cpio.zst',
      '6.1.cpio.zst.sig',
    ]);
    expect((await read('6.1')).toString('latin1')).toBe('12345\0\0\x001234own');
    expect((await read('6.10')).toString('latin1')).toBe('12345\0\0\x001234');
  });

  it('puts early microcode first', async () => {
    const base = await archiveOf('usr/x', 'base');
    const early = await archiveOf('kernel/x86/microcode/GenuineIntel.bin', 'microcode');
    const read = await joined({ base, early }, []);
    expect(await read('6.1')).toEqual(Buffer.concat([early, base]));
  });

  it('refuses an empty segment', async () => {
    await expect(joined({ empty: Buffer.alloc(0) }, [])).rejects.toMatchObject({ code: 'bad-initrd' });
  });
});

describe('pick-newest', () => {
  it('takes the file of the newest version', async () => {
    const names = ['6.1.0-10.efi', '6.1.0-9.efi', '6.1.0-99.initrd'];
    for (const name of names) await writeFile(join(root, name), name);
    const { context } = await toolFreeContext(scratch.path);
    const files = { directory: root, names, meta: null };
    expect(await pickNewest.run({ files, suffix: '.efi' }, target, context)).toEqual({ version: '6.1.0-10' });
    expect(await readFile(target, 'utf8')).toBe('6.1.0-10.efi');
    await expect(pickNewest.run({ files, suffix: '.raw' }, target, context)).rejects.toMatchObject({
      code: 'no-kernel',
    });
  });
});

describe('compression', () => {
  it.each([
    [{ algorithm: 'zstd', level: 15 }, ['zstd', '-q', '-T0', '-15'], '.zst'],
    [{ algorithm: 'zstd', level: 22 }, ['zstd', '-q', '-T0', '--ultra', '-22'], '.zst'],
    [{ algorithm: 'xz', level: 6 }, ['xz', '-q', '-T0', '--check=crc32', '-6'], '.xz'],
    [{ algorithm: 'gz', level: 9 }, ['gzip', '-q', '-n', '-9'], '.gz'],
  ] as const)('%o', (compression, command, suffix) => {
    const run = compressionRun(compression, hostPath('/x/file'));
    expect([run.tool, ...run.argv]).toEqual([...command, '-c', '--', '/input/file']);
    expect(run.mounts).toEqual([{ source: '/x/file', target: '/input/file', mode: 'ro' }]);
    expect(compressionSuffix(compression)).toBe(suffix);
  });
});
