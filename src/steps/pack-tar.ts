import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { compressionCommand, compressionTools, compressorOf } from './compression.ts';
import type { Compression } from '../plan/vocabulary.ts';
import type { FileStep } from './implementation.ts';
import { buildroot } from './script-environment.ts';

const tar = { tool: 'tar', reason: 'to pack the tree' } as const;

/** A tree as a tar archive. Sockets are left out, as they mean nothing without their owner. */
export const packTar: FileStep<'pack-tar'> = {
  output: 'file',
  version: 1,
  memory: 512 << 20,
  tools: [tar, ...compressionTools],
  keyTools: ({ compression }) => [tar, ...compressorOf(compression)],
  async run({ tree, compression, epoch }, target, context) {
    await context.sandbox.run({
      tool: 'tar',
      argv: tarArgv({ tree: buildroot, archive: '/work/archive', compression, epoch }),
      mounts: [
        { source: tree.root, target: buildroot, mode: 'ro' },
        { source: context.work, target: '/work', mode: 'rw' },
      ],
      env: { TZ: 'UTC' },
      purpose: 'packing the tree',
    });
    await rename(join(context.work, 'archive'), target);
    return undefined;
  },
};

/** Paths are paths inside the sandbox; the epoch is in seconds. */
export interface TarRequest {
  readonly tree: string;
  readonly archive: string;
  readonly compression: Compression;
  readonly epoch: number;
}

/**
 * GNU tar, told to write nothing that depends on the clock, the order of directories or its own process number. Holes are
 * not looked for, because where a file has some depends on the file system it lies on.
 */
export function tarArgv(request: TarRequest): string[] {
  const { compression } = request;
  return [
    ['--create', `--file=${request.archive}`, `--directory=${request.tree}`],
    compression.algorithm === 'none'
      ? []
      : [`--use-compress-program=${compressionCommand(compression).join(' ')}`],
    ['--sort=name', '--format=posix', '--numeric-owner'],
    ['--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime,delete=mtime'],
    [`--mtime=@${request.epoch}`, '--clamp-mtime'],
    ['--acls', '--selinux', '--xattrs', '--xattrs-include=*'],
    ['--warning=no-file-ignored', '.'],
  ].flat();
}
