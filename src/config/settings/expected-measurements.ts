import { feature } from '../codecs/scalars.ts';
import { constant, setting } from '../setting.ts';
import { signingMaterial } from './signing-material.ts';

export const SignExpectedPcr = setting({
  codec: feature,
  fallback: constant('auto'),
  scope: 'local',
  effect: 'later',
  summary: 'Sign the measurements that booting the image gives',
  doc: `Adds to unified kernel images which values the registers of a TPM will have, signed, so that secrets can be bound to them.
\`auto\`: if there are a key and a certificate.`,
});

const material = signingMaterial({
  name: 'SignExpectedPcr',
  scope: 'inherit',
  signs: 'signs expected measurements',
  use: 'For the sections .pcrsig of unified kernel images',
});

export const SignExpectedPcrKey = material.key;
export const SignExpectedPcrKeySource = material.keySource;
export const SignExpectedPcrCertificate = material.certificate;
export const SignExpectedPcrCertificateSource = material.certificateSource;

export const SignInitrdPCRs = setting({
  codec: feature,
  fallback: constant('auto'),
  scope: 'local',
  effect: 'later',
  summary: 'Sign measurements for the initrd phase of booting alone',
  doc: `Secrets that are bound to them can be read while the initrd runs and no longer.`,
});
