import { path } from '../codecs/paths.ts';
import { boolean, text } from '../codecs/scalars.ts';
import { constant, derived, optionalSetting, setting, unset } from '../setting.ts';

export const Sign = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'local',
  effect: 'later',
  summary: 'Sign the checksums of the output files',
  doc: `Writes OUTPUT.SHA256SUMS.gpg with OpenPGPTool= and Key=.`,
});

export const Checksum = setting({
  codec: boolean,
  fallback: derived({ Sign }, (values) => values.Sign),
  scope: 'local',
  flags: { bare: 'yes' },
  summary: 'Write checksums of the output files',
  doc: `Writes OUTPUT.SHA256SUMS. By default only where they are signed.`,
});

export const Key = optionalSetting({
  codec: text,
  fallback: unset,
  scope: 'local',
  effect: 'later',
  summary: 'Key that signs the checksums',
  doc: `For GnuPG the id of a key, for other programs the file that holds it. By default the first secret key.`,
});

export const OpenPGPTool = setting({
  codec: text,
  fallback: constant('gpg'),
  scope: 'local',
  effect: 'later',
  flags: { long: 'openpgp-tool' },
  summary: 'Program that signs the checksums',
  doc: `\`gpg\`, or one with the command line of the Stateless OpenPGP Interface, such as \`sqop\`.`,
});

export const Passphrase = optionalSetting({
  codec: path({ secret: true }),
  fallback: unset,
  scope: 'local',
  effect: 'later',
  implicit: [{ suffix: '.passphrase', type: 'file', use: 'path' }],
  summary: 'File with the passphrase of encrypted partitions',
  doc: `Its content, to the last byte, unlocks partitions with \`Encrypt=key-file\`. Others must not be able to read it. By default
\`mkimg.passphrase\`.`,
});
