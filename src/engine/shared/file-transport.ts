import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isErrno } from '../../base/errors.ts';
import { exists, makeDirectory } from '../../base/files.ts';
import type { Transport } from './transport.ts';

/** A shared cache that is a directory: a network share, or a volume of a container. */
export function fileTransport(directory: string): Transport {
  return {
    get: async (name, signal) => {
      try {
        const handle = await open(join(directory, name), 'r');
        return handle.createReadStream({ highWaterMark: 1 << 20, signal });
      } catch (error) {
        if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
        throw error;
      }
    },
    has: (name) => exists(join(directory, name)),
    put: async (name, { file, signal, sent }) => {
      const target = join(directory, name);
      await makeDirectory(dirname(target));
      const temporary = `${target}.${randomBytes(6).toString('hex')}.tmp`;
      try {
        const source = createReadStream(file, { highWaterMark: 1 << 20 });
        source.on('data', (chunk) => sent(chunk.length));
        await pipeline(source, createWriteStream(temporary, { flags: 'wx' }), { signal });
        await rename(temporary, target);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },
    [Symbol.dispose]: () => undefined,
  };
}
