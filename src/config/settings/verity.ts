import { enumeration, feature } from '../codecs/scalars.ts';
import { certificate, certificateSource, keySource, privateKey } from '../codecs/secrets.ts';
import { constant, optionalSetting, setting, unset } from '../setting.ts';

export const Verity = setting({
  codec: enumeration(['disabled', 'hash', 'signed', 'defer', 'auto'], {
    boolean: { yes: 'signed', no: 'disabled' },
  }),
  fallback: constant('auto'),
  scope: 'local',
  effect: 'later',
  summary: 'Protect extension and portable images with dm-verity',
  doc: `\`hash\` adds a tree of hashes, \`signed\` also the signature of its root, \`defer\` leaves room for a signature; \`auto\` signs
where there are a key and a certificate.`,
});

export const VerityKey = optionalSetting({
  codec: privateKey,
  fallback: unset,
  scope: 'universal',
  effect: 'later',
  implicit: [{ suffix: '.key', type: 'file', use: 'path' }],
  summary: 'Private key that signs dm-verity root hashes',
  doc: `For the signature partitions of disk images. A PEM file that others must not be able to read, or what an engine or provider of OpenSSL knows the key by. By default
\`mkimg.key\`.`,
});

export const VerityKeySource = setting({
  codec: keySource,
  fallback: constant({ type: 'file', source: '' }),
  scope: 'universal',
  effect: 'later',
  summary: 'Where OpenSSL finds the key that signs dm-verity root hashes',
  doc: `\`file\`, \`engine:NAME\` or \`provider:NAME\`; VerityKey= is then the name that the key has there.`,
});

export const VerityCertificate = optionalSetting({
  codec: certificate,
  fallback: unset,
  scope: 'universal',
  effect: 'later',
  implicit: [{ suffix: '.crt', type: 'file', use: 'path' }],
  summary: 'Certificate for VerityKey=',
  doc: `An X.509 certificate in a PEM file, or the name that a provider of OpenSSL knows it by. By default \`mkimg.crt\`.`,
});

export const VerityCertificateSource = setting({
  codec: certificateSource,
  fallback: constant({ type: 'file', source: '' }),
  scope: 'universal',
  effect: 'later',
  summary: 'Where OpenSSL finds VerityCertificate=',
  doc: `\`file\` or \`provider:NAME\`.`,
});

export const SignExpectedPcr = setting({
  codec: feature,
  fallback: constant('auto'),
  scope: 'local',
  effect: 'later',
  summary: 'Sign the measurements that booting the image gives',
  doc: `Adds to unified kernel images which values the registers of a TPM will have, signed, so that secrets can be bound to them.
\`auto\`: if there are a key and a certificate.`,
});

export const SignExpectedPcrKey = optionalSetting({
  codec: privateKey,
  fallback: unset,
  scope: 'inherit',
  effect: 'later',
  implicit: [{ suffix: '.key', type: 'file', use: 'path' }],
  summary: 'Private key that signs expected measurements',
  doc: `For the sections .pcrsig of unified kernel images. A PEM file that others must not be able to read, or what an engine or provider of OpenSSL knows the key by. By default
\`mkimg.key\`.`,
});

export const SignExpectedPcrKeySource = setting({
  codec: keySource,
  fallback: constant({ type: 'file', source: '' }),
  scope: 'inherit',
  effect: 'later',
  summary: 'Where OpenSSL finds the key that signs expected measurements',
  doc: `\`file\`, \`engine:NAME\` or \`provider:NAME\`; SignExpectedPcrKey= is then the name that the key has there.`,
});

export const SignExpectedPcrCertificate = optionalSetting({
  codec: certificate,
  fallback: unset,
  scope: 'inherit',
  effect: 'later',
  implicit: [{ suffix: '.crt', type: 'file', use: 'path' }],
  summary: 'Certificate for SignExpectedPcrKey=',
  doc: `An X.509 certificate in a PEM file, or the name that a provider of OpenSSL knows it by. By default \`mkimg.crt\`.`,
});

export const SignExpectedPcrCertificateSource = setting({
  codec: certificateSource,
  fallback: constant({ type: 'file', source: '' }),
  scope: 'inherit',
  effect: 'later',
  summary: 'Where OpenSSL finds SignExpectedPcrCertificate=',
  doc: `\`file\` or \`provider:NAME\`.`,
});

export const SignInitrdPCRs = setting({
  codec: feature,
  fallback: constant('auto'),
  scope: 'local',
  effect: 'later',
  summary: 'Sign measurements for the initrd phase of booting alone',
  doc: `Secrets that are bound to them can be read while the initrd runs and no longer.`,
});
