import { boolean, enumeration } from '../codecs/scalars.ts';
import { constant, setting } from '../setting.ts';
import { signingMaterial } from './signing-material.ts';

export const SecureBoot = setting({
  codec: boolean,
  fallback: constant(false),
  scope: 'local',
  effect: 'later',
  summary: 'Sign what the firmware starts',
  doc: `Boot loader, kernel and unified kernel images are signed with SecureBootKey=, so that machines that trust
SecureBootCertificate= start them with Secure Boot switched on.`,
});

export const SecureBootAutoEnroll = setting({
  codec: boolean,
  fallback: constant(true),
  scope: 'local',
  effect: 'later',
  summary: 'Let the boot loader enrol the certificate',
  doc: `On a machine that is in setup mode, systemd-boot makes the firmware trust SecureBootCertificate= at the first boot.`,
});

const material = signingMaterial({
  name: 'SecureBoot',
  scope: 'universal',
  signs: 'signs for Secure Boot',
  use: 'For boot loaders and kernels',
});

export const SecureBootKey = material.key;
export const SecureBootKeySource = material.keySource;
export const SecureBootCertificate = material.certificate;
export const SecureBootCertificateSource = material.certificateSource;

export const SecureBootSignTool = setting({
  codec: enumeration(['auto', 'sbsign', 'systemd-sbsign']),
  fallback: constant('auto'),
  scope: 'local',
  effect: 'later',
  summary: 'Program that signs for Secure Boot',
  doc: `\`auto\` takes systemd-sbsign where it is, else sbsign.`,
});
