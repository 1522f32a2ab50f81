import type { HostPath } from '../../base/brand.ts';
import type { Opened } from '../../plan/step.ts';
import type { StepInputs } from '../../plan/vocabulary.ts';
import type { BootFile } from './esp.ts';
import { grubBoot } from './grub.ts';
import type { RepartPartition } from './repart.ts';
import { ziplBoot } from './zipl.ts';

type DiskInputs = Opened<StepInputs['build-disk']>;

/** What a disk image starts with on machines without UEFI. */
export type PlatformInputs = NonNullable<DiskInputs['platformBoot']>;

/** A partition that the built-in layout has for it. */
export interface PlatformPartition {
  /** systemd's name of the type where it has one, else its GUID. */
  readonly type: string;
  readonly bytes: number;
}

export interface PlatformBoot {
  /** What is written outside of file systems goes here; the first partition of this type is taken. */
  readonly partition: PlatformPartition;
  /** Sizes of the files that `files` will return, in bytes. */
  readonly fileBytes: readonly number[];
  /** Files for the file system that the boot loader reads. `root`: words that tell the kernel where its root is. */
  files(root: readonly string[]): Promise<readonly BootFile[]>;
  /** Writes what belongs outside of file systems into the finished image. */
  write(image: HostPath, partition: RepartPartition, root: readonly string[]): Promise<void>;
}

export interface PlatformPlaces {
  readonly work: HostPath;
  /** First part of the directories of kernels, as kernel-install calls it. */
  readonly token: string;
}

export function platformBoot(inputs: PlatformInputs, places: PlatformPlaces): Promise<PlatformBoot> {
  return inputs.loader === 'zipl' ? ziplBoot(inputs) : grubBoot(inputs, places);
}

/**
 * Where the root is, for kernels whose boot loader does not tell systemd which disk it came from. Nothing where the user
 * says so, or where there is no such partition.
 */
export function rootArguments(
  partitions: readonly RepartPartition[],
  commandLine: readonly string[],
): readonly string[] {
  if (commandLine.some((word) => /^(?:root|roothash|usrhash|mount\.usr)=/.test(word))) return [];
  const root = partitions.find(({ type }) => /^root(?:-[a-z0-9]+)*$/.test(type) && !/-verity/.test(type));
  return root === undefined ? [] : [`root=PARTUUID=${root.uuid}`, 'rw'];
}
