import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { hostPath } from '../../base/brand.ts';
import { bootCode, placedCore } from '../../formats/grub-pc.ts';
import type { GrubEntry } from '../../formats/grub-configuration.ts';
import { commandLineSpaceBytes, grubConfiguration } from '../../formats/grub-configuration.ts';
import type { BootFile } from './esp.ts';
import type { BootableKernel } from './kernel-versions.ts';
import { bootableKernels } from './kernel-versions.ts';
import { partitionTooSmall, writePieces } from './outside.ts';
import type { PlatformBoot, PlatformInputs, PlatformPlaces } from './platform-boot.ts';
import type { RepartPartition } from './repart.ts';

const mebibyte = 1024 * 1024;
const sectorBytes = 512;

/** Types by what repart calls them, which has names for neither; sizes as installers of distributions make them. */
const corePartitions = {
  'grub-pc': { type: 'bios-boot', guid: '21686148-6449-6e6f-744e-656564454649', bytes: mebibyte },
  'grub-ieee1275': { type: 'prep', guid: '9e1a2d38-c612-4316-aa26-8b49521e5a8b', bytes: 8 * mebibyte },
} as const;

/**
 * GRUB without its installer: a core image with all that it needs in a partition of its own, and beside kernels and initrds
 * on a file system a configuration that boots the newest.
 */
export async function grubBoot(inputs: PlatformInputs, places: PlatformPlaces): Promise<PlatformBoot> {
  const { loader, grub } = inputs;
  if (loader === 'zipl' || grub === undefined) throw new Error('internal: GRUB without its core image');
  const kernels = bootableKernels(inputs.kernels, inputs.initrds);
  const files = (await Promise.all(kernels.map((kernel) => kernelFiles(kernel, places.token)))).flat();
  const core = await readFile(join(grub.directory, 'core.img'));
  const { guid, bytes } = corePartitions[loader];
  return {
    partition: { type: guid, bytes },
    // The configuration has less than the rest.
    fileBytes: [...files.map((file) => file.bytes), 4 * commandLineSpaceBytes],
    files: async (root) => [...files, await configurationFile(inputs, kernels, { ...places, root })],
    write: async (image, partition) => {
      if (partition.size < core.length) throw partitionTooSmall(partition, core.length);
      await (loader === 'grub-pc'
        ? writeForBios(image, partition, { core, boot: await readFile(join(grub.directory, 'boot.img')) })
        : writePieces(image, [[core, partition.offset]]));
    },
  };
}

function directoryOf(token: string, version: string): string {
  return `${token}/${version}`;
}

async function kernelFiles(
  { version, kernel, initrd }: BootableKernel,
  token: string,
): Promise<readonly BootFile[]> {
  const file = async (name: string, source: HostPath): Promise<BootFile> => ({
    place: 'boot',
    target: `${directoryOf(token, version)}/${name}`,
    source,
    bytes: (await stat(source)).size,
  });
  return [await file('linux', kernel), await file('initrd', initrd)];
}

async function configurationFile(
  { commandLine }: PlatformInputs,
  kernels: readonly BootableKernel[],
  { work, token, root }: PlatformPlaces & { readonly root: readonly string[] },
): Promise<BootFile> {
  const entries = kernels.map(({ version }): GrubEntry => {
    const directory = directoryOf(token, version);
    return { title: `Linux ${version}`, linux: `/${directory}/linux`, initrd: `/${directory}/initrd` };
  });
  const text = grubConfiguration(entries, [...root, ...commandLine]);
  const source = hostPath(join(work, 'grub.cfg'));
  await writeFile(source, text);
  return { place: 'boot', target: 'grub/grub.cfg', source, bytes: Buffer.byteLength(text) };
}

async function writeForBios(
  image: HostPath,
  { offset }: RepartPartition,
  { core, boot }: { readonly core: Buffer; readonly boot: Buffer },
): Promise<void> {
  const sector = offset / sectorBytes;
  await writePieces(image, [
    [bootCode(boot, sector), 0],
    [placedCore(core, sector), offset],
  ]);
}
