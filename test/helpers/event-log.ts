import { createHash } from 'node:crypto';

/** A measurement of a TPM's event log. */
export interface MeasuredEvent {
  readonly register: number;
  /** SHA-256, in hexadecimal digits. */
  readonly digest: string;
}

const sha256Algorithm = 0x000b;
const digestSizes = new Map([
  [0x0004, 20],
  [sha256Algorithm, 32],
  [0x000c, 48],
  [0x000d, 64],
]);

/**
 * Reads the log of firmware and boot loaders as the kernel hands it out (binary_bios_measurements): a TCG_PCR_EVENT that says
 * what follows, then TCG_PCR_EVENT2 records (TCG PC Client Platform Firmware Profile, section 10.2).
 */
export function readEventLog(log: Buffer): readonly MeasuredEvent[] {
  const events: MeasuredEvent[] = [];
  let at = 32 + log.readUInt32LE(28);
  while (at < log.length) {
    const register = log.readUInt32LE(at);
    const count = log.readUInt32LE(at + 8);
    at += 12;
    let digest = '';
    for (let index = 0; index < count; index += 1) {
      const algorithm = log.readUInt16LE(at);
      const size = digestSizes.get(algorithm);
      if (size === undefined) throw new Error(`an event log with the algorithm ${algorithm}`);
      if (algorithm === sha256Algorithm) digest = log.toString('hex', at + 2, at + 2 + size);
      at += 2 + size;
    }
    events.push({ register, digest });
    at += 4 + log.readUInt32LE(at);
  }
  return events;
}

/** What a register of the SHA-256 bank holds after these events. */
export function replayed(events: readonly MeasuredEvent[], register: number): string {
  return events
    .filter((event) => event.register === register)
    .reduce(
      (before, { digest }) =>
        createHash('sha256')
          .update(Buffer.from(before + digest, 'hex'))
          .digest('hex'),
      '0'.repeat(64),
    );
}
