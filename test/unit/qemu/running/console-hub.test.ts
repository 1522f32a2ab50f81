import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPath } from '../../../../src/base/brand.ts';
import { hostPath } from '../../../../src/base/brand.ts';
import type { TemporaryDirectory } from '../../../../src/base/temporary.ts';
import { temporaryDirectory } from '../../../../src/base/temporary.ts';
import { ConsoleHub, serveConsole } from '../../../../src/qemu/running/console-hub.ts';
import { until } from '../../../helpers/cli.ts';

let directory: TemporaryDirectory;
let path: HostPath;
/** The machine's end, and this side's. */
let guest: Socket;
let machine: Socket;

beforeEach(async () => {
  directory = await temporaryDirectory('/tmp', 'mkimg-hub-test-');
  path = hostPath(join(directory.path, 'console'));
  const server = createServer();
  server.listen(join(directory.path, 'machine'));
  await once(server, 'listening');
  machine = connect(join(directory.path, 'machine'));
  [guest] = (await once(server, 'connection')) as [Socket];
  server.close();
});
afterEach(async () => {
  guest.destroy();
  machine.destroy();
  await directory[Symbol.asyncDispose]();
});

/** Connects with the console and collects what it shows. */
async function viewer(): Promise<{ socket: Socket; shown: () => string; closed: Promise<unknown> }> {
  const socket = connect(path);
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  const closed = once(socket, 'close');
  await once(socket, 'connect');
  return { socket, shown: () => text, closed };
}

function received(socket: Socket): () => string {
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return () => text;
}

describe('a console', () => {
  it('is shown to all, and takes keys from all', async () => {
    const hub = new ConsoleHub(machine);
    await using _server = await serveConsole(hub, path);
    const own = new PassThrough();
    hub.lead(own);
    const typed = received(guest);
    const [first, second] = [await viewer(), await viewer()];
    guest.write('login: ');
    await until(() => first.shown() === 'login: ' && second.shown() === 'login: ');
    expect(String(own.read())).toBe('login: ');
    first.socket.write('ro');
    await until(() => typed() === 'ro');
    second.socket.write('ot');
    await until(() => typed() === 'root');
    hub.type(Buffer.from('\r'));
    await until(() => typed() === 'root\r');
  });

  it('shows what was said last to whoever comes later, up to a limit', async () => {
    const hub = new ConsoleHub(machine);
    await using _server = await serveConsole(hub, path);
    guest.write(`${'x'.repeat(200_000)}end`);
    await until(() => machine.bytesRead === 200_003);
    const late = await viewer();
    await until(() => late.shown().endsWith('end'));
    expect(late.shown().length).toBe(64 * 1024);
  });

  it('ends for all with the machine', async () => {
    const hub = new ConsoleHub(machine);
    await using _server = await serveConsole(hub, path);
    const watching = await viewer();
    guest.end('bye');
    guest.destroy();
    await watching.closed;
    expect(watching.shown()).toBe('bye');
  });

  it('does not wait for one who does not read', async () => {
    const hub = new ConsoleHub(machine);
    await using _server = await serveConsole(hub, path);
    const stuck = connect(path);
    await once(stuck, 'connect');
    stuck.pause();
    const flood = 'y'.repeat(1024 * 1024);
    for (let count = 0; count < 16; count++) guest.write(flood);
    await until(() => machine.bytesRead === 16 * flood.length);
    stuck.destroy();
  });

  it('waits for its own terminal', async () => {
    const hub = new ConsoleHub(machine);
    const slow = new PassThrough({ highWaterMark: 1000 });
    hub.lead(slow);
    guest.write('z'.repeat(8 * 1024 * 1024));
    await until(() => machine.isPaused());
    const before = machine.bytesRead;
    expect(before).toBeLessThan(1024 * 1024);
    slow.resume();
    await until(() => machine.bytesRead === 8 * 1024 * 1024);
  });
});
