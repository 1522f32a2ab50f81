import { mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { hostPath, treePath } from '../../base/brand.ts';
import { MkimgError } from '../../base/errors.ts';
import type { Mount } from '../../sandbox/types.ts';
import { treeAt } from '../../sandbox/tree.ts';
import type { BuildContext } from '../implementation.ts';
import { buildroot } from '../script-environment.ts';
import { stageBootFiles } from './boot-files.ts';
import { copyDirectoryInode } from './hidden.ts';
import type { DiskRequest } from './in-place.ts';
import { workInside } from './in-place.ts';
import { fitsInMemory } from './memory.ts';
import type { RepartPartition } from './repart.ts';
import { parseRepartOutput, repartArgv, repartEnvironment } from './repart.ts';
import { seededUuid } from './seed.ts';
import { blockBytes, measureTree } from './usage.ts';

/**
 * Lets systemd-repart make the image as the user's definitions say. `CopyFiles=` finds the kernels and the boot loader in
 * /efi and /boot of the tree, as with mkosi.
 * @throws MkimgError `bad-partitions` with repart's words for definitions that cannot be carried out.
 */
export async function buildByDefinitions(
  request: DiskRequest,
  context: BuildContext,
): Promise<readonly RepartPartition[]> {
  const mounts = [...(await bootMounts(request, context)), ...definitionMounts(request)];
  const { tree, epoch } = request.inputs;
  const { blocks } = await measureTree(tree.root, { hidden: [], epoch }, context.signal);
  if (await fitsInMemory(blocks * blockBytes)) {
    try {
      return await runRepart(request, mounts, context);
    } catch (error) {
      if (!isOutOfSpace(error)) throw error;
      await rm(request.image, { force: true });
    }
  }
  const temporary = hostPath(join(context.work, 'temporary'));
  await mkdir(temporary);
  return runRepart(request, [...mounts, { source: temporary, target: '/var/tmp', mode: 'rw' }], context);
}

async function bootMounts(request: DiskRequest, context: BuildContext): Promise<readonly Mount[]> {
  const { inputs, platform } = request;
  // Where the root will be is not known yet.
  const bootFiles = [...(request.bootFiles ?? []), ...((await platform?.files([])) ?? [])];
  if (bootFiles.length === 0) return [];
  const into = hostPath(join(context.work, 'boot-stage'));
  const stage = await stageBootFiles(bootFiles, into, inputs.epoch);
  const tree = treeAt(inputs.tree.root);
  const mounts: Mount[] = [];
  for (const place of ['efi', 'boot'] as const) {
    if ((await tree.type(treePath(place))) === 'directory') {
      await copyDirectoryInode(await tree.resolve(treePath(place)), stage[place]);
      mounts.push({ source: stage[place], target: join(buildroot, place), mode: 'ro' });
    } else if (bootFiles.some((file) => file.place === place)) {
      throw mountPointMissing(place);
    }
  }
  return mounts;
}

function mountPointMissing(place: string): MkimgError {
  return new MkimgError(
    'mount-point-missing',
    `The image has no directory /${place} for its kernels and boot loader.`,
    {
      hint: `Add an empty directory ${place} to mkimg.skeleton/ or mkimg.extra/.`,
    },
  );
}

function definitionMounts({ inputs }: DiskRequest): readonly Mount[] {
  return inputs.definitions.map(({ path }, index) => ({
    source: path,
    target: definitionsInside(index),
    mode: 'ro',
  }));
}

function definitionsInside(index: number): string {
  return `/definitions/${index}`;
}

async function runRepart(
  { inputs, image }: DiskRequest,
  mounts: readonly Mount[],
  context: BuildContext,
): Promise<readonly RepartPartition[]> {
  try {
    const { stdout } = await context.sandbox.run({
      tool: 'systemd-repart',
      argv: repartArgv({
        definitions: inputs.definitions.map((_, index) => definitionsInside(index)),
        root: buildroot,
        image: join(workInside, basename(image)),
        seed: inputs.seed,
        architecture: inputs.architecture,
        sectorSize: inputs.sectorSize,
      }),
      mounts: [
        { source: inputs.tree.root, target: buildroot, mode: 'ro' },
        { source: context.work, target: workInside, mode: 'rw' },
        ...mounts,
      ],
      env: repartEnvironment(seededUuid(inputs.seed, 'ext4 hash seed'), inputs.epoch),
      stdout: 'capture',
      purpose: 'building the disk image',
    });
    return parseRepartOutput(stdout);
  } catch (error) {
    throw explainDefinitions(error, inputs.definitions, context);
  }
}

/** repart names the file of a fault by its path in the sandbox; the user knows it by another. */
function explainDefinitions(
  error: unknown,
  definitions: readonly { readonly path: string }[],
  { origin }: BuildContext,
): unknown {
  if (!(error instanceof MkimgError) || error.code !== 'tool-failed' || isOutOfSpace(error)) return error;
  const tail = error.tail.map((line) =>
    line.replace(/\/definitions\/(\d+)(?=\/)/g, (whole, index) => definitions[Number(index)]?.path ?? whole),
  );
  const paths = definitions.map(({ path }) => path);
  // Progress lines name the files too, but not as `FILE:LINE:`.
  const named = tail.filter(
    (line) => paths.some((path) => line.includes(`${path}/`)) && /\.conf:/.test(line),
  );
  const fault = named.at(-1) ?? tail.at(-1);
  return new MkimgError(
    'bad-partitions',
    `systemd-repart cannot build the disk image: ${fault ?? error.message}`,
    {
      hint: `The partitions are defined in ${paths.join(', ')}; see repart.d(5).`,
      tail,
      ...(error.reenter === undefined ? {} : { reenter: error.reenter }),
      ...(origin === undefined ? {} : { origin }),
      cause: error,
    },
  );
}

function isOutOfSpace(error: unknown): boolean {
  return error instanceof MkimgError && error.tail.some((line) => line.includes('No space left on device'));
}
