import type { Result } from '../../base/diagnostic.ts';
import { ok } from '../../base/diagnostic.ts';
import { badValue } from '../codec.ts';
import type { TracedText } from '../traced-text.ts';
import { listOf } from './collections.ts';

/** A port of the host's loopback address that leads to one of the virtual machine. */
export interface PortForward {
  readonly protocol: 'tcp' | 'udp';
  readonly host: number;
  readonly guest: number;
}

/** `[tcp:|udp:]HOST:GUEST`, or one number for both. */
export const portForwards = listOf<PortForward>({
  kind: 'list of [tcp:|udp:]HOST[:GUEST]',
  schema: {
    type: 'object',
    properties: {
      Protocol: { enum: ['tcp', 'udp'] },
      Host: { type: 'integer' },
      Guest: { type: 'integer' },
    },
  },
  parse: (part) => {
    const parsed = parseForward(part);
    return parsed.ok ? ok([parsed.value]) : parsed;
  },
  show: ({ protocol, host, guest }) => `${protocol === 'udp' ? 'udp:' : ''}${host}:${guest}`,
  json: ({ protocol, host, guest }) => ({ Protocol: protocol, Host: host, Guest: guest }),
});

const highestPort = 65_535;

function parseForward(part: TracedText): Result<PortForward> {
  const [, protocol = 'tcp', host = '', guest = host] =
    /^(?:(tcp|udp):)?(\d{1,5})(?::(\d{1,5}))?$/.exec(part.text) ?? [];
  const ports = [Number(host), Number(guest)];
  if (host === '' || ports.some((port) => port < 1 || port > highestPort)) {
    return badValue(
      part,
      `'${part.text}' is not a pair of ports`,
      'Write HOST:GUEST, such as 8080:80, or udp:HOST:GUEST.',
    );
  }
  return ok({ protocol: protocol === 'udp' ? 'udp' : 'tcp', host: Number(host), guest: Number(guest) });
}
