import type { HostPath } from '../base/brand.ts';
import type { Compression } from '../plan/vocabulary.ts';
import type { RunRequest } from '../sandbox/types.ts';
import type { BuildContext, ToolNeed } from './implementation.ts';

/** Compression with a program behind it. */
export type ActiveCompression = Exclude<Compression, { readonly algorithm: 'none' }>;

/** Programs that compressFile() may start. */
export const compressionTools: readonly ToolNeed[] = [
  { tool: 'zstd', reason: 'compressing with zstd' },
  { tool: 'xz', reason: 'compressing with xz' },
  { tool: 'gzip', reason: 'compressing with gzip' },
];

const programs = { none: undefined, zstd: 'zstd', xz: 'xz', gz: 'gzip' } as const;

/** The program among them that this compression is done with, if any. */
export function compressorOf({ algorithm }: Compression): readonly ToolNeed[] {
  return compressionTools.filter(({ tool }) => tool === programs[algorithm]);
}

/** Suffix of file names, with its dot. */
export function compressionSuffix(compression: Compression): string {
  return { none: '', zstd: '.zst', xz: '.xz', gz: '.gz' }[compression.algorithm];
}

const input = '/input/file';

/** Program and options that compress standard input, or named files. The result does not depend on the number of CPUs. */
export function compressionCommand(
  compression: ActiveCompression,
): readonly [tool: string, ...options: string[]] {
  const level = `-${compression.level}`;
  switch (compression.algorithm) {
    case 'zstd':
      return ['zstd', '-q', '-T0', ...(compression.level > 19 ? ['--ultra'] : []), level];
    case 'xz':
      // The kernel's decompressor knows no CRC64, xz's default.
      return ['xz', '-q', '-T0', '--check=crc32', level];
    case 'gz':
      return ['gzip', '-q', '-n', level];
  }
}

/** The program that compresses `/input/file` to its standard output. */
export function compressionRun(
  compression: ActiveCompression,
  source: HostPath,
): Pick<RunRequest, 'tool' | 'argv' | 'mounts'> {
  const [tool, ...options] = compressionCommand(compression);
  return { tool, argv: [...options, '-c', '--', input], mounts: [{ source, target: input, mode: 'ro' }] };
}

/** Compresses a file into a new one. */
export async function compressFile(
  { source, target, compression }: { source: HostPath; target: HostPath; compression: ActiveCompression },
  context: Pick<BuildContext, 'sandbox'>,
): Promise<void> {
  await context.sandbox.run({
    ...compressionRun(compression, source),
    stdout: { file: target },
    purpose: 'compressing the output',
  });
}
