import { compressFile, compressionTools, compressorOf } from './compression.ts';
import type { FileStep } from './implementation.ts';

/** One file, compressed. The planner leaves the step out where nothing is to be compressed. */
export const compress: FileStep<'compress'> = {
  output: 'file',
  version: 1,
  memory: 768 << 20,
  tools: compressionTools,
  keyTools: ({ compression }) => compressorOf(compression),
  async run({ file, compression }, target, context) {
    if (compression.algorithm === 'none') throw new Error('internal: compress step without compression');
    await compressFile({ source: file.path, target, compression }, context);
    return undefined;
  },
};
