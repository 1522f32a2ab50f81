import { boolean } from '../codecs/scalars.ts';
import { constant, setting } from '../setting.ts';

export const Checksum = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'local',
  flags: { bare: 'yes' },
  summary: 'Write checksums of the output files',
  doc: 'Writes OUTPUT.SHA256SUMS.',
});
