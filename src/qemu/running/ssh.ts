import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { MkimgError } from '../../base/errors.ts';
import type { SshAccess } from './registry.ts';

const betweenMilliseconds = 500;
const answerMilliseconds = 5000;

/** ssh's arguments. The machine's own key is new with each image: knowing it would only get in the way. Pure. */
export function sshArgv(access: SshAccess, command: readonly string[]): readonly string[] {
  const options = {
    IdentitiesOnly: 'yes',
    IdentityFile: access.key,
    LogLevel: 'ERROR',
    StrictHostKeyChecking: 'no',
    UserKnownHostsFile: '/dev/null',
    ...(access.kind === 'vsock' ? { ProxyCommand: vsockProxy(access.cid) } : {}),
  };
  return [
    ['-F', 'none'],
    Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
    access.kind === 'port' ? ['-p', String(access.port), 'root@127.0.0.1'] : ['root@mkimg'],
    command,
  ].flat();
}

function vsockProxy(cid: number): string {
  return `socat - VSOCK-CONNECT:${cid}:22`;
}

export interface Patience {
  readonly seconds: number;
  readonly signal: AbortSignal;
  /** Called once when there is something to wait for. */
  onWaiting(): void;
  /** Whether there still is a machine to wait for. */
  isRunning(): Promise<boolean>;
}

/**
 * Waits until a guest's sshd answers on a port: QEMU takes connections before there is anybody to speak to.
 * @throws MkimgError `ssh-unreachable` when the time is over or the machine has ended, `interrupted`
 */
export async function waitForSsh(port: number, patience: Patience): Promise<void> {
  const deadline = Date.now() + patience.seconds * 1000;
  for (let attempt = 0; !(await answers(port)); attempt++) {
    if (attempt === 0) patience.onWaiting();
    if (patience.signal.aborted) throw new MkimgError('interrupted', 'interrupted', { class: 'interrupted' });
    if (!(await patience.isRunning())) throw unreachableGuest('the machine has ended');
    if (Date.now() > deadline) throw unreachableGuest(`no answer within ${patience.seconds} s`);
    await sleep(betweenMilliseconds);
  }
}

/** Whether somebody on the port introduces himself as ssh does (RFC 4253, section 4.2). */
async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const timer = setTimeout(() => socket.destroy(), answerMilliseconds);
  const closed = once(socket, 'close').then(() => undefined);
  socket.on('error', () => undefined);
  try {
    const first = (await Promise.race([once(socket, 'data'), closed])) as [Buffer] | undefined;
    return first?.[0].toString('latin1').startsWith('SSH-') === true;
  } catch {
    // Refused or reset.
    return false;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

function unreachableGuest(why: string): MkimgError {
  return new MkimgError('ssh-unreachable', `the guest's ssh does not answer: ${why}`, {
    hint: 'The image needs an SSH server that is enabled (openssh-server), and a network by DHCP (systemd-networkd enabled).',
  });
}
