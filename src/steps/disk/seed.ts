import { createHmac } from 'node:crypto';

/**
 * UUID (version 4 by its form) for one thing on a disk, derived from the disk's seed: the same seed and name always give
 * the same UUID, and nothing about one can be told from another.
 * @param seed UUID as text.
 */
export function seededUuid(seed: string, name: string): string {
  const bytes = createHmac('sha256', Buffer.from(seed.replaceAll('-', ''), 'hex'))
    .update(name)
    .digest();
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex', 0, 16);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
