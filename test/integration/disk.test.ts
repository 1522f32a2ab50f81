import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { chmod, cp, link, mkdir, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import type { MkimgError } from '../../src/base/errors.ts';
import { openSource } from '../../src/formats/bytes.ts';
import { readGpt } from '../../src/formats/gpt.ts';
import type { Gpt } from '../../src/formats/gpt.ts';
import type { Opened } from '../../src/plan/step.ts';
import type { StepInputs } from '../../src/plan/vocabulary.ts';
import { buildDisk } from '../../src/steps/build-disk.ts';
import { makeFileSystem } from '../../src/steps/make-file-system.ts';
import { installBootLoader } from '../../src/steps/install-boot-loader.ts';
import type { DiskBench } from '../helpers/disk-bench.ts';
import { diskBench } from '../helpers/disk-bench.ts';
import { writeFiles } from '../helpers/project.ts';

const execute = promisify(execFile);
const isRoot = process.getuid?.() === 0;
const seed = '11111111-2222-3333-4444-555555555556';
const epoch = 1_700_000_000;
const uki = 'not a PE, but nothing here looks into it';

let bench: DiskBench;
beforeEach(async () => {
  bench = await diskBench();
  await installBootLoader.run(
    { base: { root: bench.root }, architecture: 'x86-64' },
    bench.root,
    await bench.newContext(),
  );
  await writeFiles(hostPath(join(bench.directory, 'ukis')), { '6.1.efi': uki, '6.12.efi': uki });
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

type Inputs = Opened<StepInputs['build-disk']>;

async function build(name: string, changes: Partial<Inputs> = {}, leaveOut?: 'ukis'): Promise<Gpt> {
  const ukis = {
    directory: hostPath(join(bench.directory, 'ukis')),
    names: ['6.1.efi', '6.12.efi'],
    meta: null,
  };
  const tree = { root: bench.root };
  const rootFileSystem = hostPath(join(bench.directory, `${name}.ext4`));
  if (changes.definitions === undefined) {
    await makeFileSystem.run(
      { tree, withoutBoot: leaveOut !== 'ukis', label: 'root-x86-64', seed: changes.seed ?? seed, epoch },
      rootFileSystem,
      await bench.newContext(),
    );
  }
  const inputs: Inputs = {
    tree,
    ...(changes.definitions === undefined ? { rootFileSystem: { path: rootFileSystem, meta: null } } : {}),
    definitions: [],
    architecture: 'x86-64',
    seed,
    sectorSize: 512,
    epoch,
    bootLoader: true,
    ...(leaveOut === 'ukis' ? {} : { ukis }),
    ...changes,
  };
  const target = hostPath(join(bench.directory, name));
  const meta = await buildDisk.run(inputs, target, await bench.newContext());
  using source = openSource(target);
  const gpt = readGpt(source);
  const described = gpt.partitions.map(({ type, label, uuid, offset, size }) => ({
    type,
    label,
    uuid,
    offset,
    size,
  }));
  expect(meta).toEqual({ sectorSize: inputs.sectorSize, partitions: described });
  return gpt;
}

async function failure(changes: Partial<Inputs>): Promise<MkimgError> {
  return build('failed.raw', changes).then(
    () => Promise.reject(new Error('it was built')),
    (error: unknown) => error as MkimgError,
  );
}

/** Reads both in step, because hashing takes several times longer than comparing. */
function sameBytes(left: string, right: string): boolean {
  using a = openSource(join(bench.directory, left));
  using b = openSource(join(bench.directory, right));
  if (a.size !== b.size) return false;
  const step = 16 << 20;
  for (let offset = 0; offset < a.size; offset += step) {
    if (!a.read(offset, step).equals(b.read(offset, step))) return false;
  }
  return true;
}

/** Cuts a partition out, sparse, for tools that know no offsets. */
async function cut(image: string, { offset, size }: { offset: number; size: number }): Promise<string> {
  const options = ['iflag=skip_bytes,count_bytes,fullblock', 'bs=1M', 'conv=sparse', 'status=none'];
  await bench.inspect(
    'dd',
    `if=/bench/${image}`,
    'of=/bench/cut',
    `skip=${offset}`,
    `count=${size}`,
    ...options,
  );
  return '/bench/cut';
}

async function espListing(image: string, offset: number): Promise<readonly string[]> {
  const text = await bench.inspect('mdir', '-b', '-/', '-i', `/bench/${image}@@${offset}`);
  return text.split('\n').filter((line) => line !== '' && !line.endsWith('/'));
}

async function definitions(files: Readonly<Record<string, string>>): Promise<{ path: HostPath }[]> {
  const path = hostPath(join(bench.directory, 'repart'));
  await writeFiles(path, files);
  return [{ path }];
}

const esp = '[Partition]\nType=esp\nFormat=vfat\nCopyFiles=/boot:/\nCopyFiles=/efi:/\nSizeMinBytes=300M\n';
const root = '[Partition]\nType=root\nFormat=ext4\nCopyFiles=/\nMinimize=guess\n';

describe.skipIf(!isRoot)('the built-in layout (needs root)', () => {
  it('is an ESP that boots and a root partition, as sfdisk sees it too', async () => {
    const gpt = await build('disk.raw');
    const { stdout } = await execute('sfdisk', ['--json', join(bench.directory, 'disk.raw')]);
    const table = JSON.parse(stdout) as {
      partitiontable: {
        id: string;
        partitions: { start: number; size: number; type: string; uuid: string }[];
      };
    };
    expect(gpt.partitions.map(({ type }) => type)).toEqual(['esp', 'root-x86-64']);
    expect(table.partitiontable.id.toLowerCase()).toBe(gpt.diskGuid);
    expect(
      table.partitiontable.partitions.map(({ start, size, type, uuid }) => [
        start * 512,
        size * 512,
        type,
        uuid,
      ]),
    ).toEqual(
      gpt.partitions.map(({ offset, size, typeGuid, uuid }) => [
        offset,
        size,
        typeGuid.toUpperCase(),
        uuid.toUpperCase(),
      ]),
    );
    const [efi] = gpt.partitions;
    expect(await espListing('disk.raw', efi?.offset ?? 0)).toEqual([
      '::/config-6.1.0-test',
      '::/EFI/BOOT/BOOTX64.EFI',
      '::/EFI/Linux/testos-6.1.efi',
      '::/EFI/Linux/testos-6.12.efi',
      '::/EFI/systemd/systemd-bootx64.efi',
      '::/loader/entries.srel',
      '::/loader/loader.conf',
    ]);
    await bench.inspect(
      'mcopy',
      '-i',
      `/bench/disk.raw@@${efi?.offset}`,
      '::/EFI/Linux/testos-6.12.efi',
      '/bench/x',
    );
    expect(await bench.inspect('cat', '/bench/x')).toBe(uki);
  });

  it('has a clean root file system that holds the tree, and nothing of other partitions', async () => {
    await chmod(join(bench.root, 'etc/hostname'), 0o4751);
    await link(join(bench.root, 'etc/hostname'), join(bench.root, 'etc/second-name'));
    await symlink('/nowhere', join(bench.root, 'etc/link'));
    await chmod(join(bench.root, 'tmp'), 0o1777);
    const { partitions } = await build('disk.raw');
    const image = await cut('disk.raw', partitions[1] ?? { offset: 0, size: 0 });
    await bench.inspect('e2fsck', '-fn', image);
    const list = (path: string) => bench.inspect('debugfs', '-R', `ls -p ${path}`, image);
    const names = async (path: string) =>
      (await list(path))
        .split('\n')
        .map((line) => line.split('/')[5])
        .filter((name) => name !== undefined);
    expect(await names('/')).toEqual(['.', '..', 'lost+found', 'boot', 'efi', 'etc', 'tmp', 'usr']);
    for (const path of ['/boot', '/efi', '/tmp']) expect(await names(path)).toEqual(['.', '..']);
    expect(await list('/')).toMatch(/\/040500\/0\/0\/efi\//);
    expect(await list('/')).toMatch(/\/041777\/0\/0\/tmp\//);
    const status = await bench.inspect('debugfs', '-R', 'stat /etc/second-name', image);
    expect(status).toMatch(/Mode: {2}04751/);
    expect(status).toMatch(/Links: 2/);
    expect(status).toMatch(/mtime: 0x6553f100/);
  });

  it('keeps /boot in the root partition of an image that does not boot', async () => {
    const { partitions } = await build('disk.raw', {}, 'ukis');
    expect(partitions.map(({ type }) => type)).toEqual(['root-x86-64']);
    const image = await cut('disk.raw', partitions[0] ?? { offset: 0, size: 0 });
    expect(await bench.inspect('debugfs', '-R', 'cat /boot/config-6.1.0-test', image)).toBe('CONFIG_X=y\n');
  });

  it('puts the newest kernel where firmware looks when there is no boot loader', async () => {
    await rm(join(bench.root, 'efi'), { recursive: true });
    const { partitions } = await build('disk.raw', { bootLoader: false });
    expect(await espListing('disk.raw', partitions[0]?.offset ?? 0)).toContain('::/EFI/BOOT/BOOTX64.EFI');
    await expect(failure({})).resolves.toMatchObject({ code: 'boot-loader-missing' });
  });

  it('is the same bit for bit, whatever the order, the inodes and the access times of the tree', async () => {
    const names = ['one', 'two', 'with "quotes" and spaces', 'ü'];
    const other = hostPath(join(bench.directory, 'other'));
    for (const name of names) await writeFile(join(bench.root, 'etc', name), name);
    await mkdir(other);
    for (const name of (await readdir(bench.root)).reverse()) {
      await cp(join(bench.root, name), join(other, name), { recursive: true, preserveTimestamps: true });
    }
    await chmod(join(other, 'efi'), 0o500);
    await chmod(other, (await stat(bench.root)).mode & 0o7777);
    for (const [index, name] of [...names, '.'].entries()) {
      const { mtime } = await stat(join(bench.root, 'etc', name));
      await utimes(join(bench.root, 'etc', name), 1000, mtime);
      await utimes(join(other, 'etc', name), 2000 + index, mtime);
    }
    await build('first.raw');
    await build('second.raw', { tree: { root: other } });
    expect(sameBytes('first.raw', 'second.raw')).toBe(true);
    await build('third.raw', { seed: '21111111-2222-3333-4444-555555555556' });
    expect(sameBytes('first.raw', 'third.raw')).toBe(false);
  });

  it('is written sparse, and has room for trees of many small files', async () => {
    // Spread out: mke2fs takes quadratic time for one directory of many files.
    for (let index = 0; index < 12_000; index += 1) {
      const directory = join(bench.root, `etc/${index % 60}`);
      mkdirSync(directory, { recursive: true });
      writeFileSync(join(directory, String(index)), index % 2 === 0 ? 'x' : '');
    }
    await build('disk.raw');
    const { size, blocks } = await stat(join(bench.directory, 'disk.raw'));
    expect(size).toBeGreaterThan(600 * 2 ** 20);
    expect(blocks * 512).toBeLessThan(64 * 2 ** 20);
  });

  it('works for disks with sectors of 4096 bytes, and for other architectures', async () => {
    const { sectorSize, partitions } = await build('disk.raw', { sectorSize: 4096 });
    expect(sectorSize).toBe(4096);
    expect(await espListing('disk.raw', partitions[0]?.offset ?? 0)).toContain('::/EFI/BOOT/BOOTX64.EFI');
    await bench.inspect('e2fsck', '-fn', await cut('disk.raw', partitions[1] ?? { offset: 0, size: 0 }));
    const arm = await build('arm.raw', { architecture: 'arm64', bootLoader: false });
    expect(arm.partitions.map(({ type }) => type)).toEqual(['esp', 'root-arm64']);
    expect(await espListing('arm.raw', arm.partitions[0]?.offset ?? 0)).toContain('::/EFI/BOOT/BOOTAA64.EFI');
  });
});

describe.skipIf(!isRoot)('definitions of the user (need root)', () => {
  it('find kernels and boot loader in /boot and /efi, twice the same', async () => {
    const changes = { definitions: await definitions({ '00-esp.conf': esp, '10-root.conf': root }) };
    const { partitions } = await build('disk.raw', changes);
    expect(partitions.map(({ type }) => type)).toEqual(['esp', 'root-x86-64']);
    expect([...(await espListing('disk.raw', partitions[0]?.offset ?? 0))].sort()).toEqual([
      '::/EFI/BOOT/BOOTX64.EFI',
      '::/EFI/Linux/testos-6.1.efi',
      '::/EFI/Linux/testos-6.12.efi',
      '::/EFI/systemd/systemd-bootx64.efi',
      '::/config-6.1.0-test',
      '::/loader/entries.srel',
      '::/loader/loader.conf',
    ]);
    const image = await cut('disk.raw', partitions[1] ?? { offset: 0, size: 0 });
    await bench.inspect('e2fsck', '-fn', image);
    expect(await bench.inspect('debugfs', '-R', 'ls -p /', image)).toMatch(/\/040500\/0\/0\/efi\//);
    await build('again.raw', changes);
    expect(sameBytes('disk.raw', 'again.raw')).toBe(true);
  });

  it('that are wrong are explained with their file', async () => {
    const list = await definitions({ '10-root.conf': '[Partition]\nType=nonsense\nFormat=ext4\n' });
    const { code, message, hint } = await failure({ definitions: list });
    expect(code).toBe('bad-partitions');
    expect(message).toContain(join(bench.directory, 'repart/10-root.conf'));
    expect(hint).toContain(join(bench.directory, 'repart'));
  });

  it('with an ESP that no firmware could read are refused', async () => {
    const small = esp.replace('300M', '20M').concat('SizeMaxBytes=20M\n');
    const list = await definitions({ '00-esp.conf': small, '10-root.conf': root });
    expect(await failure({ definitions: list })).toMatchObject({ code: 'esp-too-small' });
  });

  it('without an ESP are built, with a warning', async () => {
    await build('disk.raw', { definitions: await definitions({ '10-root.conf': root }) });
    expect(bench.events).toContainEqual(expect.objectContaining({ type: 'note', code: 'no-esp' }));
  });

  it('need the directories of the tree', async () => {
    await rm(join(bench.root, 'boot'), { recursive: true });
    const list = await definitions({ '00-esp.conf': esp, '10-root.conf': root });
    expect(await failure({ definitions: list })).toMatchObject({ code: 'mount-point-missing' });
  });
});
