import type { Socket } from 'node:net';
import { createConnection, createServer } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { QmpEvent } from '../../../src/qemu/qmp.ts';
import { QmpClient } from '../../../src/qemu/qmp.ts';

const greeting =
  '{"QMP": {"version": {"qemu": {"micro": 13, "minor": 0, "major": 10}, "package": ""}, "capabilities": ["oob"]}}\r\n';

/** Both ends of a connection on a UNIX socket: QEMU's and ours. */
async function connect(directory: string): Promise<{ server: Socket; client: Socket }> {
  const path = join(directory, 'qmp');
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(path, resolve));
  const accepted = new Promise<Socket>((resolve) => listener.once('connection', resolve));
  const client = createConnection(path);
  const server = await accepted;
  listener.close();
  return { server, client };
}

interface Request {
  readonly execute: string;
  readonly arguments?: unknown;
  readonly id: string;
}

/** Answers each request with what `answer` makes of it. */
function serve(server: Socket, answer: (request: Request) => string): void {
  let text = '';
  server.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) server.write(answer(JSON.parse(line) as Request));
  });
}

function reply({ id }: Request, value: unknown = {}): string {
  return `${JSON.stringify({ return: value, id })}\r\n`;
}

let directory: string;
let ends: { server: Socket; client: Socket };
let events: QmpEvent[];
let qmp: QmpClient;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mkimg-qmp-'));
  ends = await connect(directory);
  events = [];
  qmp = new QmpClient(ends.client, (event) => events.push(event));
});

afterEach(async () => {
  ends.server.destroy();
  ends.client.destroy();
  await rm(directory, { recursive: true });
});

describe('QmpClient', () => {
  it('waits for the greeting, then negotiates', async () => {
    const requests: string[] = [];
    serve(ends.server, (request) => {
      requests.push(request.execute);
      return reply(request);
    });
    const version = qmp.negotiate();
    ends.server.write(greeting.slice(0, 20));
    setTimeout(() => ends.server.write(greeting.slice(20)), 20);
    expect(await version).toBe('10.0.13');
    expect(requests).toEqual(['qmp_capabilities']);
  });

  it('tells events from replies, whatever their order and however they are cut', async () => {
    ends.server.write(greeting);
    serve(ends.server, (request) => {
      const event = `{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}\r\n`;
      return request.execute === 'query-status'
        ? `{"event": "STOP"}\r\n${reply(request, { status: 'running' })}${event}`
        : reply(request);
    });
    await qmp.negotiate();
    expect(await qmp.execute('query-status')).toEqual({ status: 'running' });
    await qmp.execute('next');
    expect(events).toEqual([
      { name: 'STOP', data: {} },
      { name: 'SHUTDOWN', data: { guest: true, reason: 'guest-shutdown' } },
    ]);
  });

  it('gives each caller its own reply', async () => {
    const waiting: Request[] = [];
    serve(ends.server, (request) => {
      waiting.push(request);
      if (waiting.length < 2) return '';
      return waiting
        .reverse()
        .map((entry) => reply(entry, entry.execute))
        .join('');
    });
    expect(await Promise.all([qmp.execute('a'), qmp.execute('b', { x: 1 })])).toEqual(['a', 'b']);
    expect(waiting[0]?.arguments).toEqual({ x: 1 });
  });

  it("hands on QEMU's refusals", async () => {
    serve(
      ends.server,
      ({ id }) => `${JSON.stringify({ error: { class: 'GenericError', desc: 'no such command' }, id })}\n`,
    );
    await expect(qmp.execute('nonsense')).rejects.toMatchObject({
      code: 'qmp-error',
      message: 'QEMU refused a command: no such command',
    });
  });

  it('fails when QEMU dies before the greeting', async () => {
    const version = qmp.negotiate();
    ends.server.end();
    await expect(version).rejects.toMatchObject({ code: 'qemu-gone' });
    await qmp.closed;
  });

  it('fails all that is open when QEMU dies, and everything after', async () => {
    const open = qmp.execute('a');
    ends.server.destroy();
    await expect(open).rejects.toMatchObject({ code: 'qemu-gone' });
    await expect(qmp.execute('b')).rejects.toMatchObject({ code: 'qemu-gone' });
  });

  it('gives up on what is not the protocol', async () => {
    const version = qmp.negotiate();
    ends.server.write('qemu-system-x86_64: hello\n');
    await expect(version).rejects.toMatchObject({ code: 'qemu-gone' });
  });

  it('ignores replies to nobody', async () => {
    serve(ends.server, (request) => `{"return": {}, "id": "other"}\n{"return": {}}\n${reply(request, 1)}`);
    expect(await qmp.execute('a')).toBe(1);
  });
});
