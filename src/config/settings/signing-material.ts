import { certificate, certificateSource, keySource, privateKey } from '../codecs/secrets.ts';
import type { Scope } from '../setting.ts';
import { constant, optionalSetting, setting, unset } from '../setting.ts';

interface Signing {
  /** What the names of the settings begin with: `SecureBoot` of SecureBootKey=. */
  readonly name: string;
  readonly scope: Scope;
  /** What the key signs, as part of a sentence: `signs for Secure Boot`. */
  readonly signs: string;
  /** What it is for, as the beginning of a sentence: `For boot loaders and kernels`. */
  readonly use: string;
}

/** The four settings that say with what mkimg signs: a private key, its certificate, and where OpenSSL finds each. */
export function signingMaterial({ name, scope, signs, use }: Signing) {
  return {
    key: optionalSetting({
      codec: privateKey,
      fallback: unset,
      scope,
      effect: 'later',
      implicit: [{ suffix: '.key', type: 'file', use: 'path' }],
      summary: `Private key that ${signs}`,
      doc: `${use}. A PEM file that others must not be able to read, or what an engine or provider of OpenSSL knows the key
by. By default \`mkimg.key\`.`,
    }),
    keySource: setting({
      codec: keySource,
      fallback: constant({ type: 'file', source: '' }),
      scope,
      effect: 'later',
      summary: `Where OpenSSL finds the key that ${signs}`,
      doc: `\`file\`, \`engine:NAME\` or \`provider:NAME\`; ${name}Key= is then the name that the key has there.`,
    }),
    certificate: optionalSetting({
      codec: certificate,
      fallback: unset,
      scope,
      effect: 'later',
      implicit: [{ suffix: '.crt', type: 'file', use: 'path' }],
      summary: `Certificate for ${name}Key=`,
      doc: `An X.509 certificate in a PEM file, or the name that a provider of OpenSSL knows it by. By default \`mkimg.crt\`.`,
    }),
    certificateSource: setting({
      codec: certificateSource,
      fallback: constant({ type: 'file', source: '' }),
      scope,
      effect: 'later',
      summary: `Where OpenSSL finds ${name}Certificate=`,
      doc: `\`file\` or \`provider:NAME\`.`,
    }),
  };
}
