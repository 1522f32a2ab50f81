import { mkdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { allOf } from '../../base/concurrency.ts';
import type { Opened } from '../../plan/step.ts';
import type { StepInputs } from '../../plan/vocabulary.ts';
import type { Mount } from '../../sandbox/types.ts';
import type { BuildContext } from '../implementation.ts';
import { buildroot } from '../script-environment.ts';
import type { BootFile } from './esp.ts';
import { espContent } from './esp.ts';
import { fatEnvironment, mcopyArgv, mkfsFatArgv, mmdArgv } from './file-systems.ts';
import type { PlatformBoot } from './platform-boot.ts';
import { rootArguments } from './platform-boot.ts';
import type { BootPartition, RepartPartition } from './repart.ts';
import { builtInDefinitions, parseRepartOutput, repartArgv, reproducibleEnvironment } from './repart.ts';
import { seededUuid } from './seed.ts';
import { espPartitionBytes } from './size.ts';

/** What both ways of making a disk image are given. */
export interface DiskRequest {
  readonly inputs: Opened<StepInputs['build-disk']>;
  /** Where the image is made: directly below the step's work directory. */
  readonly image: HostPath;
  /** What UEFI firmware starts; absent for images without it. */
  readonly bootFiles: readonly BootFile[] | undefined;
  /** What other machines start. */
  readonly platform: PlatformBoot | undefined;
}

/** The step's work directory inside the sandbox. */
export const workInside = '/work';

/**
 * Makes the built-in layout: systemd-repart writes an empty partition table, the root file system is copied to its place and
 * mtools fill the ESP where it lies. repart's own copying (CopyBlocks=) would write the holes of the file system, too.
 */
export async function buildInPlace(
  request: DiskRequest,
  rootFileSystem: HostPath,
  context: BuildContext,
): Promise<readonly RepartPartition[]> {
  const { inputs } = request;
  const { size: rootBytes } = await stat(rootFileSystem);
  const partitions = await layOut(request, rootBytes, context);
  const root = partitions.find(({ type }) => type === `root-${inputs.architecture}`);
  const boot = partitions.find(({ type }) => type === 'esp' || type === 'xbootldr');
  if (root?.size !== rootBytes) throw new Error('internal: systemd-repart made another root partition');
  const jobs = [() => copyRoot({ request, partition: root, rootFileSystem }, context)];
  if (boot !== undefined) {
    const files = await bootFilesOf(request, partitions);
    jobs.push(() => fillFat({ request, partition: boot, files }, context));
  }
  // They write to different parts of one file.
  await allOf(jobs);
  return partitions;
}

/** Everything for the file system that firmware and boot loaders read. */
async function bootFilesOf(
  { inputs, bootFiles = [], platform }: DiskRequest,
  partitions: readonly RepartPartition[],
): Promise<readonly BootFile[]> {
  const root = rootArguments(partitions, inputs.platformBoot?.commandLine ?? []);
  return [...bootFiles, ...((await platform?.files(root)) ?? [])];
}

/** The partitions for booting, in the order of the disk. */
function bootPartitions({ bootFiles, platform }: DiskRequest): readonly BootPartition[] {
  const fileBytes = [...(bootFiles ?? []).map(({ bytes }) => bytes), ...(platform?.fileBytes ?? [])];
  const type = bootFiles === undefined ? 'xbootldr' : 'esp';
  const own = platform === undefined ? [] : [platform.partition];
  return fileBytes.length === 0 ? own : [{ type, bytes: espPartitionBytes(fileBytes) }, ...own];
}

async function layOut(
  request: DiskRequest,
  rootBytes: number,
  context: BuildContext,
): Promise<readonly RepartPartition[]> {
  const { inputs, image } = request;
  const definitions = join(context.work, 'definitions');
  await mkdir(definitions);
  for (const { name, text } of builtInDefinitions({ boot: bootPartitions(request), rootBytes })) {
    await writeFile(join(definitions, name), text);
  }
  const { stdout } = await context.sandbox.run({
    tool: 'systemd-repart',
    argv: repartArgv({
      definitions: [join(workInside, 'definitions')],
      root: '/tmp',
      image: join(workInside, basename(image)),
      seed: inputs.seed,
      architecture: inputs.architecture,
      sectorSize: inputs.sectorSize,
    }),
    mounts: [{ source: context.work, target: workInside, mode: 'rw' }],
    env: reproducibleEnvironment(inputs.epoch),
    stdout: 'capture',
    purpose: 'laying out the disk image',
  });
  return parseRepartOutput(stdout);
}

interface RootCopy {
  readonly request: DiskRequest;
  readonly partition: RepartPartition;
  readonly rootFileSystem: HostPath;
}

async function copyRoot(
  { request, partition, rootFileSystem }: RootCopy,
  { work, sandbox }: BuildContext,
): Promise<void> {
  await sandbox.run({
    tool: 'dd',
    argv: [
      ...['if=/root-file-system', `of=${join(workInside, basename(request.image))}`],
      // Zeros are left out in units of the block size.
      ...['bs=64K', `seek=${partition.offset}`, 'oflag=seek_bytes', 'conv=notrunc,sparse', 'status=none'],
    ],
    mounts: [
      { source: work, target: workInside, mode: 'rw' },
      { source: rootFileSystem, target: '/root-file-system', mode: 'ro' },
    ],
    purpose: 'copying the root file system into the disk image',
  });
}

interface FatFilling {
  readonly request: DiskRequest;
  readonly partition: RepartPartition;
  readonly files: readonly BootFile[];
}

async function fillFat({ request, partition, files }: FatFilling, context: BuildContext): Promise<void> {
  const { tree, seed, sectorSize, epoch } = request.inputs;
  const { offset, size } = partition;
  const image = join(workInside, basename(request.image));
  const content = espContent(files);
  const places = sourcePlaces(request.inputs);
  const mounts: Mount[] = [
    { source: context.work, target: workInside, mode: 'rw' },
    { source: tree.root, target: buildroot, mode: 'ro' },
    ...[...places].map(([source, target]): Mount => ({ source, target, mode: 'ro' })),
  ];
  places.set(context.work, workInside);
  const run = async (tool: string, argv: readonly string[]): Promise<void> => {
    await context.sandbox.run({
      tool,
      argv,
      mounts,
      env: fatEnvironment(epoch),
      purpose: 'filling the boot partition',
    });
  };
  const isEsp = partition.type === 'esp';
  const uuid = seededUuid(seed, isEsp ? 'EFI system partition' : 'boot partition');
  const label = isEsp ? 'ESP' : 'BOOT';
  await run('mkfs.fat', mkfsFatArgv({ image, offset, size, sectorSize, label, uuid }));
  await run('mmd', mmdArgv(image, offset, content.directories));
  for (const { sources, target } of copyGroups(content.files, ({ source }) => {
    const place = places.get(hostPath(dirname(source)));
    return place === undefined ? join(buildroot, relative(tree.root, source)) : join(place, basename(source));
  })) {
    await run('mcopy', mcopyArgv(image, offset, { sources, target }));
  }
}

/** Where the sandbox sees the directories that files come from, other than the tree. */
function sourcePlaces({ ukis, platformBoot }: DiskRequest['inputs']): Map<HostPath, string> {
  const directories = [ukis, platformBoot?.kernels, platformBoot?.initrds].filter(
    (files) => files !== undefined,
  );
  return new Map(directories.map(({ directory }, index) => [directory, `/sources/${index}`]));
}

/** Files for one call of mcopy: several that keep their names and go to one directory, or one that gets another name. */
export interface CopyGroup {
  readonly sources: readonly string[];
  /** Path on the file system; ends with a slash when it is a directory. */
  readonly target: string;
}

/** Joins neighbours, so that the order of the files, and with it every byte, stays the same. */
export function copyGroups(
  files: readonly BootFile[],
  sourceOf: (file: BootFile) => string,
): readonly CopyGroup[] {
  const groups: { sources: string[]; target: string }[] = [];
  for (const file of files) {
    const source = sourceOf(file);
    const directory = dirname(file.target) === '.' ? '' : `${dirname(file.target)}/`;
    const target = basename(source) === basename(file.target) ? directory : file.target;
    const last = groups.at(-1);
    if (last?.target === target) last.sources.push(source);
    else groups.push({ sources: [source], target });
  }
  return groups;
}
