import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import { openSource } from '../../src/formats/bytes.ts';
import type { Gpt } from '../../src/formats/gpt.ts';
import { readGpt } from '../../src/formats/gpt.ts';
import { bootCode, placedCore } from '../../src/formats/grub-pc.ts';
import type { SectorRun } from '../../src/formats/zipl-map.ts';
import { readZiplMap } from '../../src/formats/zipl-map.ts';
import type { Opened, OpenedFiles } from '../../src/plan/step.ts';
import type { StepInputs } from '../../src/plan/vocabulary.ts';
import { machineFor } from '../../src/qemu/machines/index.ts';
import { writeDiskCommandLine } from '../../src/qemu/disk-files.ts';
import { buildDisk } from '../../src/steps/build-disk.ts';
import { makeFileSystem } from '../../src/steps/make-file-system.ts';
import type { DiskBench } from '../helpers/disk-bench.ts';
import { diskBench } from '../helpers/disk-bench.ts';
import { writeFiles } from '../helpers/project.ts';

const isRoot = process.getuid?.() === 0;
const seed = '11111111-2222-3333-4444-555555555556';
const epoch = 1_700_000_000;

/** Large enough to have all that loaders look at. */
const kernel = Buffer.alloc(0x15000, 'kernel ');
kernel.writeBigUInt64BE(4096n, 0x10430);
kernel.write('S390EP', 0x10008, 'latin1');
const initrd = 'an initrd\n'.repeat(1000);
const core = Buffer.alloc(100_000, 'core ');
const boot = Buffer.alloc(512, 'boot ');

let bench: DiskBench;
beforeEach(async () => {
  bench = await diskBench();
});
afterEach(() => bench[Symbol.asyncDispose]());

type Inputs = Opened<StepInputs['build-disk']>;
type Platform = NonNullable<Inputs['platformBoot']>;

async function files(
  name: string,
  contents: Readonly<Record<string, string | Buffer>>,
): Promise<OpenedFiles> {
  const directory = hostPath(join(bench.directory, name));
  await mkdir(directory, { recursive: true });
  for (const [file, content] of Object.entries(contents)) await writeFile(join(directory, file), content);
  return { directory, names: Object.keys(contents).sort(), meta: null };
}

async function platform(loader: Platform['loader'], words: readonly string[] = []): Promise<Platform> {
  return {
    loader,
    kernels: await files('kernels', { '6.1.vmlinuz': 'old', '6.12.vmlinuz': kernel }),
    initrds: await files('initrds', { '6.1.initrd': 'old', '6.12.initrd': initrd }),
    commandLine: ['console=x', ...words],
    ...(loader === 'zipl' ? {} : { grub: await files('grub', { 'boot.img': boot, 'core.img': core }) }),
  };
}

async function build(name: string, changes: Pick<Inputs, 'architecture'> & Partial<Inputs>): Promise<Gpt> {
  const tree = { root: bench.root };
  const rootFileSystem = hostPath(join(bench.directory, `${name}.ext4`));
  const label = `root-${changes.architecture}`;
  const isBuiltIn = changes.definitions === undefined;
  if (isBuiltIn) {
    const inputs = { tree, withoutBoot: true, label, seed, epoch };
    await makeFileSystem.run(inputs, rootFileSystem, await bench.newContext());
  }
  const inputs: Inputs = {
    ...{ tree, definitions: [], seed, sectorSize: 512, epoch, bootLoader: false },
    ...(isBuiltIn ? { rootFileSystem: { path: rootFileSystem, meta: null } } : {}),
    ...changes,
  };
  const target = hostPath(join(bench.directory, name));
  await buildDisk.run(inputs, target, await bench.newContext());
  using source = openSource(target);
  return readGpt(source);
}

function bytesAt(name: string, offset: number, length: number): Buffer {
  using source = openSource(join(bench.directory, name));
  return Buffer.from(source.read(offset, length));
}

const contentOf = (name: string, runs: readonly SectorRun[]): Buffer =>
  Buffer.concat(runs.map(({ sector, sectors }) => bytesAt(name, sector * 512, sectors * 512)));

function rootUuid(gpt: Gpt): string | undefined {
  return gpt.partitions.find(({ type }) => type.startsWith('root-'))?.uuid;
}

async function fatFile(image: string, offset: number, path: string): Promise<string> {
  return bench.inspect('sh', '-c', 'mcopy -i "$0" "$1" -', `/bench/${image}@@${offset}`, `::/${path}`);
}

describe.skipIf(!isRoot)('a disk for a mainframe (needs root)', () => {
  it('has a boot map with the newest kernel, its initrd and its command line', async () => {
    const gpt = await build('disk.raw', { architecture: 's390x', platformBoot: await platform('zipl') });
    expect(gpt.partitions.map(({ type }) => type)).toEqual(['linux-generic', 'root-s390x']);
    using disk = openSource(join(bench.directory, 'disk.raw'));
    const { segments } = readZiplMap(disk);
    const [loaded, archive] = segments.map(({ runs }) => contentOf('disk.raw', runs));
    expect(loaded?.toString('latin1', 0x480, 0x480 + 200).split('\0')[0]).toBe(
      `root=PARTUUID=${rootUuid(gpt)} rw console=x`,
    );
    expect(loaded?.subarray(0x2000, 0x5000).equals(kernel.subarray(0x12000))).toBe(true);
    expect(archive?.subarray(0, initrd.length).toString()).toBe(initrd);
    const [place] = gpt.partitions;
    const end = Math.max(...segments.flatMap(({ runs }) => runs.map((run) => run.sector + run.sectors)));
    expect(end * 512).toBeLessThanOrEqual((place?.offset ?? 0) + (place?.size ?? 0));
  });

  it('has it in a partition of the definitions, and a warning where there is none', async () => {
    const root = '[Partition]\nType=root\nFormat=ext4\nCopyFiles=/\nMinimize=guess\n';
    const none = hostPath(join(bench.directory, 'none'));
    await writeFiles(none, { '10-root.conf': root });
    const platformBoot = await platform('zipl', ['root=LABEL=mine']);
    await build('none.raw', { architecture: 's390x', platformBoot, definitions: [{ path: none }] });
    expect(bench.events).toContainEqual(expect.objectContaining({ code: 'no-boot-partition' }));
    const own = hostPath(join(bench.directory, 'own'));
    const generic = '[Partition]\nType=linux-generic\nSizeMinBytes=32M\nSizeMaxBytes=32M\n';
    await writeFiles(own, { '00-boot.conf': generic, '10-root.conf': root });
    await build('own.raw', { architecture: 's390x', platformBoot, definitions: [{ path: own }] });
    using disk = openSource(join(bench.directory, 'own.raw'));
    const [segment] = readZiplMap(disk).segments;
    const loaded = contentOf('own.raw', segment?.runs ?? []);
    expect(loaded.toString('latin1', 0x480, 0x480 + 200).split('\0')[0]).toBe('console=x root=LABEL=mine');
    const small = generic.replaceAll('32M', '4K');
    await writeFiles(own, { '00-boot.conf': small });
    await expect(
      build('small.raw', { architecture: 's390x', platformBoot, definitions: [{ path: own }] }),
    ).rejects.toMatchObject({ code: 'boot-partition-too-small' });
  });

  it('is the same twice, and refuses what no mainframe starts', async () => {
    const platformBoot = await platform('zipl');
    for (const name of ['one.raw', 'two.raw']) await build(name, { architecture: 's390x', platformBoot });
    await bench.inspect('cmp', '/bench/one.raw', '/bench/two.raw');
    await expect(
      build('large.raw', { architecture: 's390x', platformBoot, sectorSize: 4096 }),
    ).rejects.toMatchObject({ code: 'sector-size' });
    const kernels = await files('other', { '7.vmlinuz': 'no kernel at all' });
    const initrds = await files('others', { '7.initrd': '' });
    await expect(
      build('other.raw', { architecture: 's390x', platformBoot: { ...platformBoot, kernels, initrds } }),
    ).rejects.toMatchObject({ code: 'kernel-format' });
  });
});

describe.skipIf(!isRoot)('a disk with GRUB (needs root)', () => {
  it('has its core in a PReP partition, and kernels beside its configuration', async () => {
    const platformBoot = await platform('grub-ieee1275');
    const gpt = await build('disk.raw', { architecture: 'ppc64-le', platformBoot });
    expect(gpt.partitions.map(({ type }) => type)).toEqual(['xbootldr', 'prep', 'root-ppc64-le']);
    const [fat, prep] = gpt.partitions.map(({ offset }) => offset);
    expect(bytesAt('disk.raw', prep ?? 0, core.length).equals(core)).toBe(true);
    const text = await fatFile('disk.raw', fat ?? 0, 'grub/grub.cfg');
    expect(text).toContain(
      `  linux /testos/6.12/linux root=PARTUUID=${rootUuid(gpt)} rw console=x $more\n  initrd /testos/6.12/initrd\n`,
    );
    expect(text.indexOf('6.12')).toBeLessThan(text.indexOf('/6.1/'));
    // Copies get further words for the kernel, in the place of those that they have.
    const image = hostPath(join(bench.directory, 'disk.raw'));
    const machine = machineFor('ppc64-le');
    for (const words of ['long words '.repeat(9), 'a=b c'])
      await writeDiskCommandLine(image, { machine }, words);
    const changed = await fatFile('disk.raw', fat ?? 0, 'grub/grub.cfg');
    expect(changed).toBe(text.replace(/^set more='.{5}/m, "set more='a=b c"));
    expect(changed).not.toBe(text);
    for (const [words, code] of [
      ['x'.repeat(1537), 'command-line-too-long'],
      ['a="b c"', 'command-line-word'],
    ] as const) {
      await expect(writeDiskCommandLine(image, { machine }, words)).rejects.toMatchObject({ code });
    }
    expect(await fatFile('disk.raw', fat ?? 0, 'testos/6.12/initrd')).toBe(initrd);
  });

  it('starts from the first sector by BIOS, beside what UEFI starts', async () => {
    const uki: HostPath = hostPath(join(bench.directory, 'ukis'));
    await writeFiles(uki, { '6.12.efi': 'not a PE' });
    const gpt = await build('disk.raw', {
      architecture: 'x86-64',
      ukis: { directory: uki, names: ['6.12.efi'], meta: null },
      platformBoot: await platform('grub-pc'),
    });
    expect(gpt.partitions.map(({ type }) => type)).toEqual(['esp', 'bios-boot', 'root-x86-64']);
    const [esp, bios] = gpt.partitions.map(({ offset }) => offset);
    const sector = (bios ?? 0) / 512;
    expect(bytesAt('disk.raw', bios ?? 0, core.length).equals(placedCore(core, sector))).toBe(true);
    expect(bytesAt('disk.raw', 0, 440).equals(bootCode(boot, sector))).toBe(true);
    // The protective partition table is still there.
    expect(bytesAt('disk.raw', 510, 2).toString('hex')).toBe('55aa');
    expect(await fatFile('disk.raw', esp ?? 0, 'EFI/BOOT/BOOTX64.EFI')).toBe('not a PE');
    expect(await fatFile('disk.raw', esp ?? 0, 'grub/grub.cfg')).toContain('linux /testos/6.12/linux');
  });
});
