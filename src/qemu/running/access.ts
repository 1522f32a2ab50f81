import type { HostPath } from '../../base/brand.ts';
import type { ImageConfig } from '../../config/project.ts';
import type { QmpClient } from '../qmp.ts';
import { systemdVersionOf } from '../systemd-version.ts';
import type { VmRequest } from '../vm.ts';
import type { SshAccess } from './registry.ts';

/** The port for the guest's sshd; 0 on the host stands for one that is free. */
export const sshForward = { protocol: 'tcp', host: 0, guest: 22 } as const;

/** Guests whose systemd is this new let sshd listen on vsock(7): systemd-ssh-generator(8). */
const vsockSystemd = 256;

export interface AccessInputs {
  readonly request: Pick<VmRequest, 'network' | 'vsockCid'>;
  readonly key: HostPath;
  readonly config: Pick<ImageConfig, 'OutputDirectory' | 'Output'>;
}

/**
 * How to log in to a machine that runs: by vsock(7), which needs no network, where the guest is known to listen there; else by
 * the port that QEMU forwards; undefined where there is neither.
 */
export async function sshAccess(
  qmp: QmpClient,
  { request, key, config }: AccessInputs,
): Promise<SshAccess | undefined> {
  const { network, vsockCid: cid } = request;
  const systemd = await systemdVersionOf(config.OutputDirectory, config.Output);
  if (cid !== undefined && (systemd ?? 0) >= vsockSystemd) return { kind: 'vsock', cid, key };
  const port = network === 'user' ? await forwardedPort(qmp) : undefined;
  return port === undefined ? undefined : { kind: 'port', port, key };
}

/** Which port of the host leads to the guest's sshd. QEMU tells it in its text for people only. */
async function forwardedPort(qmp: QmpClient): Promise<number | undefined> {
  const text = await qmp.execute('human-monitor-command', { 'command-line': 'info usernet' });
  return parseForwardedPort(typeof text === 'string' ? text : '', sshForward.guest);
}

/** The host's port of a line such as `TCP[HOST_FORWARD]  12  127.0.0.1 34567  10.0.2.15 22  0 0`. */
export function parseForwardedPort(text: string, guest: number): number | undefined {
  const lines = text.matchAll(/TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+(\d+)\s/g);
  for (const [, host, port] of lines) if (Number(port) === guest) return Number(host);
  return undefined;
}
