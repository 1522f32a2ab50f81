import { createWriteStream } from 'node:fs';
import type { Socket } from 'node:net';
import { finished } from 'node:stream/promises';
import type { HostPath } from '../../base/brand.ts';

/** A guest in a loop must not fill the disk. */
const sizeLimit = 64 * 1024 * 1024;

/** A file of what serial consoles say, one machine after the other. */
export interface ConsoleLog extends AsyncDisposable {
  /** Writes down what comes, as it comes. */
  follow(console: Socket | undefined): void;
}

/** Opens a new log; what goes beyond 64 MiB is left out. */
export function openConsoleLog(path: HostPath): ConsoleLog {
  const file = createWriteStream(path);
  let written = 0;
  return {
    follow: (console) => {
      console?.on('data', (chunk: Buffer) => {
        if (written < sizeLimit && !file.writableEnded) file.write(chunk);
        written += chunk.length;
      });
    },
    [Symbol.asyncDispose]: async () => {
      file.end();
      await finished(file);
    },
  };
}
