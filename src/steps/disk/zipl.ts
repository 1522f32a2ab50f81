import { readFile, stat } from 'node:fs/promises';
import { MkimgError } from '../../base/errors.ts';
import { bufferSource } from '../../formats/bytes.ts';
import { detectKernel } from '../../formats/kernel.ts';
import { initrdAddress, kernelBegin, kernelStart, kernelToLoad } from '../../formats/s390-kernel.ts';
import type { Segment } from '../../formats/zipl-map.ts';
import { sectorBytes, tableSectors, ziplMap } from '../../formats/zipl-map.ts';
import { bootableKernels } from './kernel-versions.ts';
import { partitionTooSmall, writePieces } from './outside.ts';
import type { PlatformBoot, PlatformInputs } from './platform-boot.ts';

const mebibyte = 1024 * 1024;

/**
 * The newest kernel as a mainframe's own loader starts it: tables, kernel and initrd behind each other in a partition of their
 * own, and the boot record in the first sector of the disk. Kernel, initrd and command line are part of it: nothing of it is
 * read from a file system.
 */
export async function ziplBoot(inputs: PlatformInputs): Promise<PlatformBoot> {
  const [newest] = bootableKernels(inputs.kernels, inputs.initrds);
  if (newest === undefined) throw new Error('internal: no kernel');
  const kernel = await readFile(newest.kernel);
  if (detectKernel(bufferSource(kernel))?.format !== 's390') {
    throw new MkimgError('kernel-format', `The kernel ${newest.version} is none for s390x.`, {
      hint: 'Look which package it comes from: its architecture must be that of the image.',
    });
  }
  const { size: initrdSize } = await stat(newest.initrd);
  const sectors = { kernel: sectorsFor(kernel.length - kernelBegin), initrd: sectorsFor(initrdSize) };
  const tables = tableSectors([{ sectors: sectors.kernel }, { sectors: sectors.initrd }]);
  const bytes = (tables + sectors.kernel + sectors.initrd) * sectorBytes;
  return {
    partition: { type: 'linux-generic', bytes: Math.ceil(bytes / (4 * mebibyte)) * 4 * mebibyte },
    fileBytes: [],
    files: () => Promise.resolve([]),
    write: async (image, partition, root) => {
      if (partition.size < bytes) throw partitionTooSmall(partition, bytes);
      const first = partition.offset / sectorBytes;
      const segments: readonly Segment[] = [
        { sector: first + tables, sectors: sectors.kernel, address: BigInt(kernelBegin) },
        { sector: first + tables + sectors.kernel, sectors: sectors.initrd, address: initrdAddress },
      ];
      const map = ziplMap({ segments, start: kernelStart }, first);
      const commandLine = [...root, ...inputs.commandLine].join(' ');
      const contents = [kernelToLoad(kernel, { commandLine, initrdSize }), await readFile(newest.initrd)];
      await writePieces(image, [
        [map.bootRecord, 0],
        [map.tables, partition.offset],
        ...contents.map((content, index) => [content, (segments[index]?.sector ?? 0) * sectorBytes] as const),
      ]);
    },
  };
}

function sectorsFor(bytes: number): number {
  return Math.ceil(bytes / sectorBytes);
}
