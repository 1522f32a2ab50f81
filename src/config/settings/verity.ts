import { enumeration } from '../codecs/scalars.ts';
import { constant, setting } from '../setting.ts';
import { signingMaterial } from './signing-material.ts';

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

const material = signingMaterial({
  name: 'Verity',
  scope: 'universal',
  signs: 'signs dm-verity root hashes',
  use: 'For the signature partitions of disk images',
});

export const VerityKey = material.key;
export const VerityKeySource = material.keySource;
export const VerityCertificate = material.certificate;
export const VerityCertificateSource = material.certificateSource;
