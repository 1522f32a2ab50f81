import { list } from '../codecs/collections.ts';
import { path } from '../codecs/paths.ts';
import { url } from '../codecs/secrets.ts';
import type { FallbackContext } from '../setting.ts';
import { derived, fromContext, optionalSetting, unset } from '../setting.ts';
import { Environment } from './build.ts';

/** The first of some variables that Environment= sets, else that the process that called mkimg has. */
function firstVariable(
  names: readonly string[],
  values: Readonly<Record<string, string>>,
  { environment }: FallbackContext,
): string | undefined {
  const known = [values, environment].flatMap((variables) =>
    names.map((name) => variables[name]).filter((value) => value !== undefined && value !== ''),
  );
  return known[0];
}

export const ProxyUrl = optionalSetting({
  codec: url,
  fallback: derived({ Environment }, (values, context) =>
    firstVariable(['http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'], values.Environment, context),
  ),
  scope: 'multiversal',
  effect: 'later',
  summary: 'Proxy for everything that is downloaded',
  doc: `A URL such as \`http://proxy.example:3128\`. By default \`http_proxy\` or \`https_proxy\` of Environment= or of the
environment.`,
});

export const ProxyExclude = optionalSetting({
  codec: list,
  fallback: derived({ Environment }, (values, context) =>
    firstVariable(['no_proxy', 'NO_PROXY'], values.Environment, context)?.split(','),
  ),
  scope: 'multiversal',
  effect: 'later',
  summary: 'Hosts that are reached without the proxy',
  doc: `Names of hosts or domains. By default \`no_proxy\` of Environment= or of the environment.`,
});

export const ProxyPeerCertificate = optionalSetting({
  codec: path({ mustExist: true }),
  fallback: fromContext(({ host }) => host.certificates),
  scope: 'multiversal',
  effect: 'later',
  summary: 'Certificates that the proxy is checked with',
  doc: `A PEM file. By default what the host trusts.`,
});

export const ProxyClientCertificate = optionalSetting({
  codec: path({ mustExist: true, secret: true }),
  fallback: unset,
  scope: 'multiversal',
  effect: 'later',
  summary: 'Certificate that shows the proxy who asks',
  doc: `A PEM file, which may hold the key as well and which others must not be able to read.`,
});

export const ProxyClientKey = optionalSetting({
  codec: path({ mustExist: true, secret: true }),
  fallback: derived({ ProxyClientCertificate }, (values) => values.ProxyClientCertificate),
  scope: 'multiversal',
  effect: 'later',
  summary: 'Key of ProxyClientCertificate=',
  doc: `A PEM file that others must not be able to read. By default the file of the certificate.`,
});
