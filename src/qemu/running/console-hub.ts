import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { Writable } from 'node:stream';
import type { HostPath } from '../../base/brand.ts';
import { MkimgError } from '../../base/errors.ts';

/** What whoever comes later is shown first. */
const recentBytes = 64 * 1024;
/** One who does not read so much is let go, for the machine must not wait for him. */
const laggingBytes = 1024 * 1024;

/** The console of a machine, for any number of terminals. */
export class ConsoleHub implements Disposable {
  private readonly machine: Socket;
  private readonly viewers = new Set<Writable>();
  private recent: Buffer = Buffer.alloc(0);

  constructor(machine: Socket) {
    this.machine = machine;
    machine.on('data', (chunk: Buffer) => this.show(chunk));
    // The end of the machine tells more.
    machine.on('error', () => undefined);
    machine.on('close', () => this.close());
  }

  /** What this process's own terminal shows. The machine waits for it, as it would for QEMU's. */
  lead(output: Writable): Disposable {
    const pass = (chunk: Buffer): void => {
      if (output.write(chunk)) return;
      this.machine.pause();
      output.once('drain', () => this.machine.resume());
    };
    this.machine.on('data', pass);
    return {
      [Symbol.dispose]: () => {
        this.machine.off('data', pass);
        this.machine.resume();
      },
    };
  }

  /** Shows the console to one more, beginning with what it has shown last, and closes `output` when the machine has ended. */
  join(output: Writable): void {
    output.write(this.recent);
    this.viewers.add(output);
    output.on('close', () => this.viewers.delete(output));
    output.on('error', () => this.viewers.delete(output));
  }

  /** Keys for the machine. */
  type(keys: Uint8Array): void {
    if (!this.machine.destroyed) this.machine.write(keys);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private show(chunk: Buffer): void {
    const all = Buffer.concat([this.recent, chunk]);
    this.recent = all.subarray(Math.max(0, all.length - recentBytes));
    for (const viewer of this.viewers) {
      viewer.write(chunk);
      if (viewer.writableLength > laggingBytes) viewer.destroy();
    }
  }

  private close(): void {
    for (const viewer of this.viewers) viewer.end();
    this.viewers.clear();
  }
}

/**
 * Lets others join a console on a UNIX socket, whose directory says who may.
 * @throws MkimgError `runtime-directory` when there can be no socket
 */
export async function serveConsole(hub: ConsoleHub, path: HostPath): Promise<AsyncDisposable> {
  const server = createServer((client) => {
    client.on('error', () => client.destroy());
    client.on('data', (keys: Buffer) => hub.type(keys));
    hub.join(client);
  });
  await listen(server, path);
  return {
    [Symbol.asyncDispose]: () =>
      new Promise<void>((done) => {
        hub[Symbol.dispose]();
        server.close(() => done());
      }),
  };
}

function listen(server: Server, path: HostPath): Promise<void> {
  return new Promise((done, failed) => {
    server.once('error', (cause) =>
      failed(
        new MkimgError('runtime-directory', `cannot listen on ${path}: ${cause.message}`, {
          hint: 'Names of sockets hold 107 bytes: set XDG_RUNTIME_DIR to a shorter path if this one is longer.',
          cause,
        }),
      ),
    );
    server.listen(path, () => done());
  });
}
