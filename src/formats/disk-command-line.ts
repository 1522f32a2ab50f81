import type { ByteSource } from './bytes.ts';
import { readExactly } from './bytes.ts';
import type { GptPartition } from './gpt.ts';
import { readGpt } from './gpt.ts';
import type { CommandLineSpace } from './grub-configuration.ts';
import { commandLineSpaceBytes, findCommandLineSpace } from './grub-configuration.ts';
import { commandLineAt, kernelBegin, kernelHeaderBytes, storedCommandLine } from './s390-kernel.ts';
import { hasZiplMap, readZiplMap, sectorBytes } from './zipl-map.ts';

/** Where words can be added to the kernel command line that a disk boots with, by overwriting bytes. */
export interface DiskCommandLine {
  /** Bytes from the beginning of the disk. */
  readonly offset: number;
  /** Bytes of words that can be added, instead of those that were added before. */
  readonly room: number;
  /** Words may have blanks and quotes in them. */
  readonly takesQuotes: boolean;
  /** What has to stand at the offset, so that these words are added. */
  readonly withWords: (words: string) => Buffer;
}

/**
 * Finds it on disks that start by GRUB or by a boot map, as mkimg makes them; undefined on all others.
 * @param limit longest kernel command line in bytes with its terminator, where the kernel does not say it
 * @throws MkimgError `no-gpt`, `bad-gpt`, `bad-boot-map`, `truncated-file` for disks that are damaged
 */
export function findDiskCommandLine(disk: ByteSource, limit: number): DiskCommandLine | undefined {
  return hasZiplMap(disk) ? inBootMap(disk) : inGrubConfiguration(disk, limit);
}

/** Between the words of the image and those that were added. No command line that mkimg writes has it elsewhere. */
const mark = '\t';

function inBootMap(disk: ByteSource): DiskCommandLine | undefined {
  const kernel = readZiplMap(disk).segments.find(({ address }) => address === BigInt(kernelBegin));
  const [run] = kernel?.runs ?? [];
  if (run === undefined) return undefined;
  const begin = run.sector * sectorBytes;
  const { text, limit } = storedCommandLine(readExactly(disk, begin, kernelHeaderBytes));
  const own = text.split(mark, 1)[0] ?? '';
  const room = limit - 1 - Buffer.byteLength(own) - mark.length;
  return {
    offset: begin + commandLineAt - kernelBegin,
    room: Math.max(0, room),
    takesQuotes: true,
    withWords: (words) => Buffer.concat([Buffer.from(`${own}${mark}${words}`), Buffer.alloc(1)]),
  };
}

/** Bytes that are looked at together; each such piece begins a little before the last one ended. */
const pieceBytes = 1 << 20;

function inGrubConfiguration(disk: ByteSource, limit: number): DiskCommandLine | undefined {
  for (const partition of readGpt(disk).partitions) {
    if (partition.type !== 'esp' && partition.type !== 'xbootldr') continue;
    const found = findInPartition(disk, partition);
    if (found === undefined) continue;
    return {
      offset: found.offset,
      room: Math.max(0, Math.min(commandLineSpaceBytes, limit - 1 - found.ownBytes)),
      takesQuotes: false,
      withWords: (words) => Buffer.from(words.padEnd(commandLineSpaceBytes)),
    };
  }
  return undefined;
}

/** The configuration is one piece on a file system that nobody has changed since it was made. */
function findInPartition(disk: ByteSource, { offset, size }: GptPartition): CommandLineSpace | undefined {
  const overlap = 16 * 1024;
  for (let at = 0; at < size; at += pieceBytes) {
    const piece = disk.read(offset + at, Math.min(pieceBytes + overlap, size - at));
    const space = findCommandLineSpace(piece);
    if (space !== undefined) return { ...space, offset: offset + at + space.offset };
  }
  return undefined;
}
