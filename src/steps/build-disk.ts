import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import { MkimgError } from '../base/errors.ts';
import { openSource } from '../formats/bytes.ts';
import { isUndersizedFat32 } from '../formats/fat.ts';
import type { Opened } from '../plan/step.ts';
import type { StepInputs } from '../plan/vocabulary.ts';
import { collectBootFiles } from './disk/boot-files.ts';
import { buildByDefinitions } from './disk/by-definitions.ts';
import { buildInPlace } from './disk/in-place.ts';
import type { RepartPartition } from './disk/repart.ts';
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
    const partitions = await buildImage(inputs, image, context);
    checkFirmwareCanRead(image, partitions);
    warnWithoutEsp(inputs, partitions, context);
    await rename(image, target);
    return describe(partitions, inputs.sectorSize);
  },
};

type DiskInputs = Opened<StepInputs['build-disk']>;

async function buildImage(
  inputs: DiskInputs,
  image: HostPath,
  context: BuildContext,
): Promise<readonly RepartPartition[]> {
  const { tree, ukis, architecture, bootLoader } = inputs;
  const bootFiles =
    ukis === undefined
      ? undefined
      : await collectBootFiles({ root: tree.root, ukis, architecture, bootLoader });
  const request = { inputs, image, bootFiles };
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
