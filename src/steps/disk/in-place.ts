import { mkdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { allOf } from '../../base/concurrency.ts';
import type { Opened } from '../../plan/step.ts';
import type { StepInputs } from '../../plan/vocabulary.ts';
import type { Mount } from '../../sandbox/types.ts';
import type { BuildContext } from '../implementation.ts';
import { buildroot } from '../script-environment.ts';
import type { BootFile } from './esp.ts';
import { espContent } from './esp.ts';
import { fatEnvironment, mcopyArgv, mkfsFatArgv, mmdArgv } from './file-systems.ts';
import type { RepartPartition } from './repart.ts';
import { builtInDefinitions, parseRepartOutput, repartArgv, reproducibleEnvironment } from './repart.ts';
import { seededUuid } from './seed.ts';
import { espPartitionBytes } from './size.ts';

/** What both ways of making a disk image are given. */
export interface DiskRequest {
  readonly inputs: Opened<StepInputs['build-disk']>;
  /** Where the image is made: directly below the step's work directory. */
  readonly image: HostPath;
  /** Files for the ESP; absent for images that do not boot. */
  readonly bootFiles: readonly BootFile[] | undefined;
}

/** The step's work directory inside the sandbox. */
export const workInside = '/work';
const ukisInside = '/ukis';

/**
 * Makes the built-in layout: systemd-repart writes an empty partition table, the root file system is copied to its place and
 * mtools fill the ESP where it lies. repart's own copying (CopyBlocks=) would write the holes of the file system, too.
 */
export async function buildInPlace(
  request: DiskRequest,
  rootFileSystem: HostPath,
  context: BuildContext,
): Promise<readonly RepartPartition[]> {
  const { inputs, bootFiles } = request;
  const { size: rootBytes } = await stat(rootFileSystem);
  const partitions = await layOut(request, rootBytes, context);
  const root = partitions.find(({ type }) => type === `root-${inputs.architecture}`);
  const esp = partitions.find(({ type }) => type === 'esp');
  if (root?.size !== rootBytes) throw new Error('internal: systemd-repart made another root partition');
  const jobs = [() => copyRoot({ request, partition: root, rootFileSystem }, context)];
  if (esp !== undefined && bootFiles !== undefined) {
    jobs.push(() => fillEsp({ request, partition: esp, files: bootFiles }, context));
  }
  // They write to different parts of one file.
  await allOf(jobs);
  return partitions;
}

async function layOut(
  { inputs, image, bootFiles }: DiskRequest,
  rootBytes: number,
  context: BuildContext,
): Promise<readonly RepartPartition[]> {
  const definitions = join(context.work, 'definitions');
  await mkdir(definitions);
  const esp =
    bootFiles === undefined ? {} : { espBytes: espPartitionBytes(bootFiles.map(({ bytes }) => bytes)) };
  for (const { name, text } of builtInDefinitions({ ...esp, rootBytes })) {
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

interface EspFilling {
  readonly request: DiskRequest;
  readonly partition: RepartPartition;
  readonly files: readonly BootFile[];
}

async function fillEsp({ request, partition, files }: EspFilling, context: BuildContext): Promise<void> {
  const { tree, ukis, seed, sectorSize, epoch } = request.inputs;
  const { offset, size } = partition;
  const image = join(workInside, basename(request.image));
  const content = espContent(files);
  const mounts: Mount[] = [
    { source: context.work, target: workInside, mode: 'rw' },
    { source: tree.root, target: buildroot, mode: 'ro' },
    ...(ukis === undefined ? [] : [{ source: ukis.directory, target: ukisInside, mode: 'ro' } as const]),
  ];
  const run = async (tool: string, argv: readonly string[]): Promise<void> => {
    await context.sandbox.run({
      tool,
      argv,
      mounts,
      env: fatEnvironment(epoch),
      purpose: 'filling the EFI system partition',
    });
  };
  const uuid = seededUuid(seed, 'EFI system partition');
  await run('mkfs.fat', mkfsFatArgv({ image, offset, size, sectorSize, label: 'ESP', uuid }));
  await run('mmd', mmdArgv(image, offset, content.directories));
  for (const { sources, target } of copyGroups(content.files, (file) =>
    insideSandbox(file, request.inputs),
  )) {
    await run('mcopy', mcopyArgv(image, offset, { sources, target }));
  }
}

function insideSandbox({ source }: BootFile, { tree, ukis }: DiskRequest['inputs']): string {
  return ukis !== undefined && dirname(source) === ukis.directory
    ? join(ukisInside, basename(source))
    : join(buildroot, relative(tree.root, source));
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
