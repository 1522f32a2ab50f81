import { boolean, enumeration } from '../codecs/scalars.ts';
import { certificate, certificateSource, keySource, privateKey } from '../codecs/secrets.ts';
import { constant, optionalSetting, setting, unset } from '../setting.ts';

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

export const SecureBootKey = optionalSetting({
  codec: privateKey,
  fallback: unset,
  scope: 'universal',
  effect: 'later',
  implicit: [{ suffix: '.key', type: 'file', use: 'path' }],
  summary: 'Private key that signs for Secure Boot',
  doc: `For boot loaders and kernels. A PEM file that others must not be able to read, or what an engine or provider of OpenSSL knows the key by. By default
\`mkimg.key\`.`,
});

export const SecureBootKeySource = setting({
  codec: keySource,
  fallback: constant({ type: 'file', source: '' }),
  scope: 'universal',
  effect: 'later',
  summary: 'Where OpenSSL finds the key that signs for Secure Boot',
  doc: `\`file\`, \`engine:NAME\` or \`provider:NAME\`; SecureBootKey= is then the name that the key has there.`,
});

export const SecureBootCertificate = optionalSetting({
  codec: certificate,
  fallback: unset,
  scope: 'universal',
  effect: 'later',
  implicit: [{ suffix: '.crt', type: 'file', use: 'path' }],
  summary: 'Certificate for SecureBootKey=',
  doc: `An X.509 certificate in a PEM file, or the name that a provider of OpenSSL knows it by. By default \`mkimg.crt\`.`,
});

export const SecureBootCertificateSource = setting({
  codec: certificateSource,
  fallback: constant({ type: 'file', source: '' }),
  scope: 'universal',
  effect: 'later',
  summary: 'Where OpenSSL finds SecureBootCertificate=',
  doc: `\`file\` or \`provider:NAME\`.`,
});

export const SecureBootSignTool = setting({
  codec: enumeration(['auto', 'sbsign', 'systemd-sbsign']),
  fallback: constant('auto'),
  scope: 'local',
  effect: 'later',
  summary: 'Program that signs for Secure Boot',
  doc: `\`auto\` takes systemd-sbsign where it is, else sbsign.`,
});
