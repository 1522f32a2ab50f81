import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { MkimgError } from '../../base/errors.ts';
import type { QmpClient } from '../qmp.ts';

const loopback = '127.0.0.1';
/** Bytes that are kept of what a guest sends. */
const receiveLimit = 256 * 1024;
const pauseMilliseconds = 500;

/** A port of this host that leads to one of the guest, as long as the machine runs. */
export interface GuestPort {
  readonly qmp: QmpClient;
  readonly host: number;
  readonly guest: number;
}

/**
 * Opens a way from a free port of this host, for this host alone, to a TCP port of the guest.
 * @throws MkimgError `qmp-error` when the machine has no user network
 */
export async function forwardPort(qmp: QmpClient, guest: number): Promise<GuestPort> {
  for (let attempt = 0; ; attempt++) {
    const host = await freePort();
    const reply = await monitor(qmp, `hostfwd_add net0 tcp:${loopback}:${host}-:${guest}`);
    if (reply === '') return { qmp, host, guest };
    // Between the choice and the use of a port another program may take it.
    if (attempt >= 3) throw new MkimgError('qmp-error', `QEMU refused a command: ${reply}`);
  }
}

/** Whether the guest has accepted a connection: QEMU accepts one on this side before it knows. */
async function isEstablished({ qmp, host, guest }: GuestPort): Promise<boolean> {
  return hasConnection(await monitor(qmp, 'info usernet'), host, guest);
}

/** Reads QEMU's table of connections. Pure. */
export function hasConnection(table: string, host: number, guest: number): boolean {
  return table.split('\n').some((line) => {
    const [state, , source, from, , to] = line.trim().split(/\s+/);
    return (
      state === 'TCP[ESTABLISHED]' && source === loopback && from === String(host) && to === String(guest)
    );
  });
}

/** What is looked for on a port; `isEnough` judges what the guest has sent so far, if that matters. */
export interface PortWish {
  readonly send: string | undefined;
  readonly isEnough: ((received: string) => boolean) | undefined;
  readonly signal: AbortSignal;
  /** Gets what the guest sent on each connection. */
  readonly onReceived: (received: string) => void;
}

/** Connects again and again until the guest does what is looked for; ends without that when the signal fires. */
export async function waitForPort(port: GuestPort, wish: PortWish): Promise<void> {
  while (!wish.signal.aborted) {
    if (await tryPort(port, wish)) return;
    await sleep(pauseMilliseconds, undefined, { signal: wish.signal }).catch(() => undefined);
  }
}

/** One connection. Resolves with whether it was what is looked for. */
async function tryPort(port: GuestPort, wish: PortWish): Promise<boolean> {
  const socket = connect({ host: loopback, port: port.host });
  const state = { received: '', hasEnded: false };
  const closed = once(socket, 'close').catch(() => undefined);
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    state.received = (state.received + text).slice(0, receiveLimit);
  });
  socket.on('error', () => (state.hasEnded = true));
  socket.on('close', () => (state.hasEnded = true));
  socket.once('connect', () => {
    if (wish.send !== undefined) socket.write(wish.send);
  });
  try {
    return await watchSocket({ port, wish, state, closed });
  } finally {
    wish.onReceived(state.received);
    socket.destroy();
  }
}

interface Watched {
  readonly port: GuestPort;
  readonly wish: PortWish;
  readonly state: { received: string; hasEnded: boolean };
  readonly closed: Promise<unknown>;
}

async function watchSocket({ port, wish, state, closed }: Watched): Promise<boolean> {
  while (!wish.signal.aborted) {
    if (wish.isEnough?.(state.received) === true) return true;
    if (wish.isEnough === undefined && !state.hasEnded && (await isEstablished(port))) return true;
    if (state.hasEnded) return false;
    await Promise.race([sleep(pauseMilliseconds), closed]);
  }
  return false;
}

async function monitor(qmp: QmpClient, command: string): Promise<string> {
  const reply = await qmp.execute('human-monitor-command', { 'command-line': command });
  return typeof reply === 'string' ? reply.trim() : '';
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, loopback);
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('internal: a port without a number');
  return address.port;
}
