import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import { MkimgError } from '../base/errors.ts';
import { openSource } from '../formats/bytes.ts';
import { isUndersizedFat32 } from '../formats/fat.ts';
import { partitionTypeName } from '../formats/gpt-types.ts';
import type { Opened } from '../plan/step.ts';
import type { StepInputs } from '../plan/vocabulary.ts';
import { collectBootFiles } from './disk/boot-files.ts';
import { buildByDefinitions } from './disk/by-definitions.ts';
import { buildInPlace } from './disk/in-place.ts';
import type { PlatformBoot } from './disk/platform-boot.ts';
import { platformBoot, rootArguments } from './disk/platform-boot.ts';
import type { RepartPartition } from './disk/repart.ts';
import { entryToken } from './entry-token.ts';
import type { BuildContext, FileStep } from './implementation.ts';

/**
 * A GPT disk image, without loop devices. The user's definitions are systemd-repart's to carry out; without any, the image
 * has an ESP and a root partition, whose file system was made before. meta: `{ partitions, sectorSize }`.
 *
 * The same inputs give the same bytes for vfat, ext4, erofs and squashfs; btrfs, xfs and LUKS are never reproducible.
 */
export const buildDisk: FileStep<'build-disk'> = {
  output: 'file',
  version: 2,
  tools: [
    { tool: 'systemd-repart', minimum: '254', reason: 'to lay out the disk image' },
    { tool: 'dd', reason: 'to copy the root file system into the disk image' },
    { tool: 'mke2fs', minimum: '1.47.1', reason: 'to make ext4 file systems' },
    { tool: 'mkfs.fat', reason: 'to make the EFI system partition' },
    { tool: 'mmd', reason: 'to make directories in the EFI system partition' },
    { tool: 'mcopy', reason: 'to fill the EFI system partition' },
  ],
  async run(inputs, target, context) {
    const image = hostPath(join(context.work, 'disk.raw'));
    const platform = await platformOf(inputs, context);
    const partitions = await buildImage(inputs, { image, platform }, context);
    checkFirmwareCanRead(image, partitions);
    warnWithoutEsp(inputs, partitions, context);
    if (platform !== undefined) await writePlatform({ inputs, image, partitions, platform }, context);
    await rename(image, target);
    return describe(partitions, inputs.sectorSize);
  },
};

type DiskInputs = Opened<StepInputs['build-disk']>;

async function platformOf(
  { platformBoot: platform, tree, sectorSize }: DiskInputs,
  { work }: BuildContext,
): Promise<PlatformBoot | undefined> {
  if (platform === undefined) return undefined;
  if (sectorSize !== 512) {
    throw new MkimgError(
      'sector-size',
      `Only UEFI firmware starts disks with sectors of ${sectorSize} bytes.`,
      {
        hint: 'Leave out SectorSize=.',
      },
    );
  }
  return platformBoot(platform, { work, token: await entryToken(tree.root) });
}

interface PlatformWriting {
  readonly inputs: DiskInputs;
  readonly image: HostPath;
  readonly partitions: readonly RepartPartition[];
  readonly platform: PlatformBoot;
}

async function writePlatform(
  { inputs, image, partitions, platform }: PlatformWriting,
  { events }: BuildContext,
): Promise<void> {
  const { type: wanted } = platform.partition;
  const type = partitionTypeName(wanted) ?? wanted;
  const partition = partitions.find((candidate) => candidate.type === type);
  if (partition === undefined) {
    events.emit({
      type: 'note',
      level: 'warning',
      code: 'no-boot-partition',
      message: `The partition definitions have no ${type} partition: the disk image will not boot by itself.`,
      hint: `Add a definition with Type=${wanted} and SizeMinBytes=${platform.partition.bytes}, or set Bootable=no.`,
    });
    return;
  }
  await platform.write(image, partition, rootArguments(partitions, inputs.platformBoot?.commandLine ?? []));
}

async function buildImage(
  inputs: DiskInputs,
  { image, platform }: Pick<PlatformWriting, 'image'> & { readonly platform: PlatformBoot | undefined },
  context: BuildContext,
): Promise<readonly RepartPartition[]> {
  const { tree, ukis, architecture, bootLoader } = inputs;
  const bootFiles =
    ukis === undefined
      ? undefined
      : await collectBootFiles({ root: tree.root, ukis, architecture, bootLoader });
  const request = { inputs, image, bootFiles, platform };
  const { rootFileSystem } = inputs;
  return rootFileSystem === undefined
    ? buildByDefinitions(request, context)
    : buildInPlace(request, rootFileSystem.path, context);
}

/** @throws MkimgError `esp-too-small`: such an image would be built without complaint and never boot. */
function checkFirmwareCanRead(image: HostPath, partitions: readonly RepartPartition[]): void {
  using source = openSource(image);
  for (const { type, offset, size } of partitions) {
    if (type !== 'esp' && type !== 'xbootldr') continue;
    if (!isUndersizedFat32(source, offset)) continue;
    const mebibytes = Math.round(size / 2 ** 20);
    throw new MkimgError(
      'esp-too-small',
      `The ${type} partition has ${mebibytes} MiB, too few for a FAT32 file system.`,
      {
        hint: 'Firmware would not find it. Raise SizeMinBytes= in its definition: 260M is enough for every sector size.',
      },
    );
  }
}

function warnWithoutEsp(
  inputs: DiskInputs,
  partitions: readonly RepartPartition[],
  { events }: BuildContext,
): void {
  if (inputs.ukis === undefined || partitions.some(({ type }) => type === 'esp')) return;
  events.emit({
    type: 'note',
    level: 'warning',
    code: 'no-esp',
    message:
      'The partition definitions have no EFI system partition: the disk image will not boot by itself.',
    hint: 'Add a definition with Type=esp, Format=vfat, CopyFiles=/boot:/ and CopyFiles=/efi:/, or set Bootable=no.',
  });
}

function describe(partitions: readonly RepartPartition[], sectorSize: number): Json {
  return { sectorSize, partitions: partitions.map((partition) => ({ ...partition })) };
}
