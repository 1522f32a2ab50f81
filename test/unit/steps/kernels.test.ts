import { mkdir, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPath } from '../../../src/base/brand.ts';
import { hostPath } from '../../../src/base/brand.ts';
import type { TemporaryDirectory } from '../../../src/base/temporary.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import { bufferSource } from '../../../src/formats/bytes.ts';
import { memberData, readNewc } from '../../../src/formats/newc-reader.ts';
import { depmod } from '../../../src/steps/depmod.ts';
import { depmodRun } from '../../../src/steps/module-indexes.ts';
import { extractKernels } from '../../../src/steps/extract-kernels.ts';
import { unpackRun } from '../../../src/steps/kernel-modules/firmware-names.ts';
import { adaptedCompression, packKernelModules } from '../../../src/steps/pack-kernel-modules.ts';
import { placeKernels, versionInName } from '../../../src/steps/place-kernels.ts';
import { sampleBzImage, sampleElf } from '../formats/samples.ts';
import { toolFreeContext } from './step-context.ts';

let scratch: TemporaryDirectory;
let root: HostPath;
let target: HostPath;
beforeEach(async () => {
  scratch = await temporaryDirectory('/tmp', 'mkimg-kernels-');
  root = hostPath(join(scratch.path, 'root'));
  target = hostPath(join(scratch.path, 'target'));
  await mkdir(join(root, 'boot'), { recursive: true });
});
afterEach(() => scratch[Symbol.asyncDispose]());

async function write(path: string, content: string | Buffer = ''): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), content);
}

async function files(): Promise<readonly string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort();
}

describe('place-kernels', () => {
  async function place() {
    const { context, events } = await toolFreeContext(scratch.path);
    await placeKernels.run({ base: { root } }, root, context);
    return events;
  }

  it('moves kernels and nothing else', async () => {
    await write('boot/vmlinuz-6.12.1', sampleBzImage('6.12.1'));
    await write(
      'boot/vmlinux-6.1-x',
      sampleElf({ name: '.text', content: Buffer.alloc(8) }, { machine: 21, type: 3 }),
    );
    await write('boot/config-6.12.1', 'CONFIG_X=y');
    await write('boot/vmlinuz-6.12.1.hmac', 'abc');
    await write('boot/initrd.img-6.12.1', 'x');
    expect(await place()).toEqual([]);
    expect(await files()).toEqual([
      ...['boot/config-6.12.1', 'boot/initrd.img-6.12.1', 'boot/vmlinuz-6.12.1.hmac'],
      ...['usr/lib/modules/6.1-x/vmlinuz', 'usr/lib/modules/6.12.1/vmlinuz'],
    ]);
  });

  it('believes the directory of modules first, then the image', async () => {
    await write('usr/lib/modules/named/kernel/x');
    await write('boot/vmlinuz-named', sampleBzImage('6.1'));
    await write('boot/vmlinuz-6.2.old', sampleBzImage('6.2'));
    await place();
    expect(await files()).toEqual([
      ...['usr/lib/modules/6.2/vmlinuz', 'usr/lib/modules/named/kernel/x', 'usr/lib/modules/named/vmlinuz'],
    ]);
  });

  it('takes links to a moved kernel along, and leaves others', async () => {
    await write('boot/vmlinuz-6.1', sampleBzImage('6.1'));
    await write('boot/initrd.img-6.1');
    await symlink('boot/vmlinuz-6.1', join(root, 'vmlinuz'));
    await symlink('/boot/vmlinuz-6.1', join(root, 'vmlinuz.old'));
    await symlink('vmlinuz-6.1', join(root, 'boot/vmlinuz'));
    await symlink('boot/initrd.img-6.1', join(root, 'initrd.img'));
    await place();
    const links = ['vmlinuz', 'vmlinuz.old', 'boot/vmlinuz', 'initrd.img'];
    expect(await Promise.all(links.map((path) => readlink(join(root, path))))).toEqual([
      'usr/lib/modules/6.1/vmlinuz',
      'usr/lib/modules/6.1/vmlinuz',
      '../usr/lib/modules/6.1/vmlinuz',
      'boot/initrd.img-6.1',
    ]);
  });

  it('drops the same kernel twice, and keeps a different one with a warning', async () => {
    await write('usr/lib/modules/6.1/vmlinuz', sampleBzImage('6.1'));
    await write('boot/vmlinuz-6.1', sampleBzImage('6.1'));
    expect(await place()).toEqual([]);
    expect(await files()).toEqual(['usr/lib/modules/6.1/vmlinuz']);
    await write('boot/vmlinuz-6.1', sampleBzImage('6.1', 'other'));
    expect(await place()).toMatchObject([{ code: 'kernel-twice' }]);
    expect(await files()).toEqual(['boot/vmlinuz-6.1', 'usr/lib/modules/6.1/vmlinuz']);
  });

  it('stays inside the tree', async () => {
    await write('boot/vmlinuz-6.1', sampleBzImage('6.1'));
    await mkdir(join(scratch.path, 'outside'));
    await mkdir(join(root, 'usr'));
    await symlink(join(scratch.path, 'outside'), join(root, 'usr/lib'));
    await place();
    expect(await readdir(join(scratch.path, 'outside'))).toEqual([]);
  });

  it.each([
    ['vmlinuz-6.1-amd64', '6.1-amd64'],
    ['vmlinux-6.1', '6.1'],
    ['Image-6.1', '6.1'],
    ['vmlinuz', undefined],
    ['initrd.img-6.1', undefined],
  ])('finds the version in %s', (name, version) => {
    expect(versionInName(name)).toBe(version);
  });
});

describe('extract-kernels', () => {
  it('copies each kernel', async () => {
    await write('usr/lib/modules/6.1/vmlinuz', sampleBzImage('6.1'));
    await write('usr/lib/modules/6.2/vmlinuz', 'no kernel');
    await write('usr/lib/modules/6.3/modules.dep');
    const { context } = await toolFreeContext(scratch.path);
    const meta = await extractKernels.run({ tree: { root } }, target, context);
    expect(meta).toEqual({ kernels: [{ version: '6.1', format: 'bzimage' }] });
    expect(await readFile(join(target, '6.1.vmlinuz'))).toEqual(sampleBzImage('6.1'));
  });

  it('fails without any', async () => {
    const { context } = await toolFreeContext(scratch.path);
    await expect(extractKernels.run({ tree: { root } }, target, context)).rejects.toMatchObject({
      code: 'no-kernel',
    });
  });
});

describe('depmod', () => {
  const directory = 'usr/lib/modules/6.1';

  async function run() {
    const { context } = await toolFreeContext(scratch.path);
    await depmod.run({ base: { root } }, root, context);
  }

  it('starts nothing where the indexes list what is there', async () => {
    await write(`${directory}/kernel/a.ko.xz`);
    await write(`${directory}/modules.dep`, 'kernel/a.ko.xz:\n');
    for (const name of ['dep', 'alias', 'symbols', 'builtin'])
      await write(`${directory}/modules.${name}.bin`);
    await write('usr/lib/modules/without/vmlinuz');
    await run();
  });

  it.each([
    ['a module is new', `${directory}/updates/b.ko`],
    ['there are no indexes', 'usr/lib/modules/6.2/kernel/a.ko'],
  ])('runs when %s', async (_when, path) => {
    await write(`${directory}/kernel/a.ko`);
    await write(`${directory}/modules.dep`, 'kernel/a.ko:\n');
    for (const name of ['dep', 'alias', 'symbols', 'builtin'])
      await write(`${directory}/modules.${name}.bin`);
    await write(path);
    await expect(run()).rejects.toThrow('not even depmod');
  });

  it('sees the modules and the configuration of the tree only', () => {
    const configuration = [
      { source: hostPath('/t/etc/depmod.d'), target: '/depmod.d/etc-depmod.d', mode: 'ro' as const },
    ];
    const kernel = { version: '6.1', modules: hostPath('/t/usr/lib/modules'), configuration };
    const request = depmodRun(kernel, { made: hostPath('/made'), directories: ['kernel'] });
    expect(request.argv).toEqual(['-C', '/depmod.d/etc-depmod.d', '-a', '-b', '/buildroot', '6.1']);
    const inside = '/buildroot/usr/lib/modules';
    expect(request.mounts).toEqual([
      { source: '/t/usr/lib/modules', target: inside, mode: 'ro' },
      { source: '/made', target: `${inside}/6.1`, mode: 'rw' },
      { source: '/t/usr/lib/modules/6.1/kernel', target: `${inside}/6.1/kernel`, mode: 'ro' },
      ...configuration,
    ]);
    expect(request.symlinks).toEqual([{ target: 'usr/lib', path: '/buildroot/lib' }]);
  });
});

describe('pack-kernel-modules', () => {
  const directory = 'usr/lib/modules/6.1';
  const modinfo = (text: string) => sampleElf({ name: '.modinfo', content: Buffer.from(text) });

  async function packed(...modules: readonly string[]) {
    const { context } = await toolFreeContext(scratch.path);
    const compression = { algorithm: 'none' as const };
    const meta = await packKernelModules.run(
      { tree: { root }, modules, compression, epoch: 7 },
      target,
      context,
    );
    const source = bufferSource(await readFile(join(target, '6.1.cpio')));
    const members = [...readNewc(source)];
    return { meta, members, source, paths: members.map(({ path }) => path.toString()) };
  }

  beforeEach(async () => {
    await write(
      `${directory}/kernel/fs/a.ko`,
      modinfo('firmware=a.bin\0firmware=gone.bin\0firmware=../../../etc/x\0'),
    );
    await write(`${directory}/kernel/b.ko`, modinfo('firmware=dir/b.bin\0'));
    await write(`${directory}/modules.dep`, 'kernel/fs/a.ko: kernel/b.ko\nkernel/b.ko:\n');
    await write(`${directory}/modules.builtin`, 'kernel/c.ko\n');
    await write('etc/x', 'secret');
  });

  it('packs modules with their directories and indexes', async () => {
    const { members, paths, meta } = await packed('a');
    expect(paths).toEqual([
      ...['usr', 'usr/lib', 'usr/lib/modules', directory, `${directory}/kernel`, `${directory}/kernel/b.ko`],
      ...[`${directory}/kernel/fs`, `${directory}/kernel/fs/a.ko`, `${directory}/modules.alias.bin`],
      ...['builtin', 'dep', 'dep.bin', 'devname', 'order', 'softdep', 'symbols.bin', 'weakdep'].map(
        (name) => `${directory}/modules.${name}`,
      ),
    ]);
    expect(members.every(({ mtime, uid, gid }) => mtime <= 7 && uid === 0 && gid === 0)).toBe(true);
    const modules = { 'kernel/b.ko': 'dependency of a', 'kernel/fs/a.ko': 'pattern a' };
    expect(meta).toEqual({ kernels: { '6.1': { modules, firmware: {} } } });
  });

  it('adds the firmware that is there, compressed forms and links with what they lead to', async () => {
    await write('usr/lib/firmware/real/a-1.bin.xz', 'firmware a');
    await write('usr/lib/firmware/other.bin');
    await write('usr/lib/firmware/vendor/b.bin', 'firmware b');
    await symlink('real/a-1.bin.xz', join(root, 'usr/lib/firmware/a.bin.xz'));
    await symlink('/lib/firmware/vendor', join(root, 'usr/lib/firmware/dir'));
    await symlink('usr/lib', join(root, 'lib'));
    const { paths, source, members, meta } = await packed('a');
    const firmware = 'usr/lib/firmware';
    expect(paths.filter((path) => path.startsWith(`${firmware}/`))).toEqual([
      ...[`${firmware}/a.bin.xz`, `${firmware}/dir`, `${firmware}/real`, `${firmware}/real/a-1.bin.xz`],
      ...[`${firmware}/vendor`, `${firmware}/vendor/b.bin`],
    ]);
    const link = members.find(({ path }) => path.toString() === `${firmware}/a.bin.xz`);
    expect(link === undefined ? undefined : memberData(source, link).toString()).toBe('real/a-1.bin.xz');
    expect(JSON.stringify(meta)).toContain(`"${firmware}/vendor/b.bin":"b"`);
  });

  it('takes a copy of firmware that a link leads to elsewhere', async () => {
    await write('etc/alternatives/fw', 'firmware a');
    await mkdir(join(root, 'usr/lib/firmware'));
    await symlink('/etc/alternatives/fw', join(root, 'usr/lib/firmware/a.bin'));
    const { source, members } = await packed('a');
    const copy = members.find(({ path }) => path.toString() === 'usr/lib/firmware/a.bin');
    expect(copy === undefined ? undefined : memberData(source, copy).toString()).toBe('firmware a');
  });

  it('makes a segment for a kernel without modules', async () => {
    await write('usr/lib/modules/6.0/vmlinuz', sampleBzImage('6.0'));
    const { meta } = await packed('a');
    expect(await readdir(target)).toEqual(['6.0.cpio', '6.1.cpio']);
    expect(meta).toMatchObject({ kernels: { '6.0': { modules: {} } } });
  });

  it('leaves out modules that were removed from the image', async () => {
    await write(`${directory}/modules.dep`, 'kernel/gone/a.ko: kernel/b.ko\nkernel/b.ko:\n');
    const { meta, members } = await packed('a');
    expect(meta).toMatchObject({ kernels: { '6.1': { modules: { 'kernel/b.ko': 'dependency of a' } } } });
    expect(members.map(({ path }) => path.toString()).filter((path) => path.endsWith('a.ko'))).toEqual([]);
  });

  it.each([
    ['no-module-index', 'usr/lib/modules/6.0/kernel/x.ko', ''],
    ['module-missing', `${directory}/modules.dep`, '../../../../../etc/a.ko:\n'],
  ])('reports %s', async (code, path, content) => {
    await write(path, content);
    await expect(packed('a')).rejects.toMatchObject({ code });
  });

  it('spends no time on compressing what is compressed', () => {
    const file = (path: string) => ({
      module: { name: 'a', path, dependencies: [] },
      path: root,
      size: 1,
      mtime: 0,
      changed: '',
    });
    const compression = { algorithm: 'zstd', level: 15 } as const;
    expect(adaptedCompression(compression, [file('a.ko.xz')])).toEqual({ algorithm: 'zstd', level: 3 });
    expect(adaptedCompression(compression, [file('a.ko')])).toEqual(compression);
    expect(adaptedCompression({ algorithm: 'none' }, [file('a.ko.xz')])).toEqual({ algorithm: 'none' });
  });

  it('unpacks many modules with one program', () => {
    expect(unpackRun(['./a', './b'])).toMatchObject({
      tool: 'zstd',
      argv: ['-q', '-d', '--rm', '--', './a', './b'],
    });
  });
});
