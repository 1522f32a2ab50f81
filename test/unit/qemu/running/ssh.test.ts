import type { AddressInfo, Server } from 'node:net';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../../src/base/brand.ts';
import { parseForwardedPort } from '../../../../src/qemu/running/access.ts';
import type { Patience } from '../../../../src/qemu/running/ssh.ts';
import { sshArgv, waitForSsh } from '../../../../src/qemu/running/ssh.ts';

const key = hostPath('/run/mkimg/1.key');

describe('the arguments of ssh', () => {
  it('name the port, the key and the command, and nothing of the user’s own configuration', () => {
    const argv = sshArgv({ kind: 'port', port: 40_000, key }, ['ls', '-l']);
    expect(argv.slice(0, 2)).toEqual(['-F', 'none']);
    expect(argv).toContain('IdentityFile=/run/mkimg/1.key');
    expect(argv.slice(-5)).toEqual(['-p', '40000', 'root@127.0.0.1', 'ls', '-l']);
  });

  it('go through vsock where there is no port', () => {
    const argv = sshArgv({ kind: 'vsock', cid: 99, key }, []);
    expect(argv).toContain('ProxyCommand=socat - VSOCK-CONNECT:99:22');
    expect(argv.at(-1)).toBe('root@mkimg');
  });
});

describe('the forwarded port', () => {
  const table = `Hub -1 (net0):
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
  UDP[236 sec]       44       10.0.2.15 41234        10.0.2.3    53     0     0
  TCP[HOST_FORWARD]  13       127.0.0.1  8080       10.0.2.15    80     0     0
  TCP[HOST_FORWARD]  12       127.0.0.1 34567       10.0.2.15    22     0     0
`;

  it('is the one that leads to the guest’s', () => {
    expect([22, 80, 53].map((port) => parseForwardedPort(table, port))).toEqual([34567, 8080, undefined]);
  });
});

describe('waiting for the guest', () => {
  /** A server that greets from its n-th connection on, as QEMU drops what nobody takes. */
  async function server(greetsFrom: number, greeting: string): Promise<Server> {
    let count = 0;
    const made = createServer((socket) => {
      socket.on('error', () => undefined);
      count += 1;
      if (count >= greetsFrom) socket.write(greeting);
      else socket.destroy();
    });
    made.listen(0, '127.0.0.1');
    await once(made, 'listening');
    return made;
  }

  const portOf = (listening: Server): number => (listening.address() as AddressInfo).port;

  function patience(changes: Partial<Patience> = {}): Patience & { waits: number } {
    const made = {
      waits: 0,
      seconds: 30,
      signal: new AbortController().signal,
      onWaiting: () => void (made.waits += 1),
      isRunning: () => Promise.resolve(true),
      ...changes,
    };
    return made;
  }

  it('says so once, and ends with the first greeting', async () => {
    const slow = await server(3, 'SSH-2.0-OpenSSH\r\n');
    const waiting = patience();
    await waitForSsh(portOf(slow), waiting);
    expect(waiting.waits).toBe(1);
    slow.close();
  });

  it('says nothing when the guest answers', async () => {
    const quick = await server(1, 'SSH-2.0-OpenSSH\r\n');
    const waiting = patience();
    await waitForSsh(portOf(quick), waiting);
    expect(waiting.waits).toBe(0);
    quick.close();
  });

  it.each<[string, Partial<Patience>, string]>([
    ['the machine has ended', { isRunning: () => Promise.resolve(false) }, 'the machine has ended'],
    ['the time is over', { seconds: 0 }, 'no answer within 0 s'],
    ['it is interrupted', { signal: AbortSignal.abort() }, 'interrupted'],
  ])('ends when %s', async (_, changes, message) => {
    const other = await server(1, 'HTTP/1.1 400 Bad Request\r\n');
    await expect(waitForSsh(portOf(other), patience(changes))).rejects.toThrow(message);
    other.close();
  });
});
