import { join } from 'node:path';
import { exists } from '../../base/files.ts';
import { temporaryDirectory } from '../../base/temporary.ts';
import { hostPath } from '../../base/brand.ts';
import { debianRepositories } from '../../distro/apt-sources.ts';
import { readAptHost } from '../host.ts';
import type { Check, Finding, Surroundings } from './check.ts';
import { broken, good, unknown } from './check.ts';
import { outputOf } from './output-of.ts';
import { installCommand } from './packages.ts';

/** APT's own program for fetching a file with its configuration: proxies, credentials, certificates. */
const fetcher = '/usr/lib/apt/apt-helper';
const keyring = hostPath('/usr/share/keyrings/debian-archive-keyring.gpg');
/** Of the release that mkimg's tools are taken from. */
const release = 'trixie';

/** Where packages come from, and whether it answers. */
export const repositoriesCheck: Check = {
  name: 'repositories',
  run: async (surroundings) => {
    const { host } = surroundings;
    const aptHost = await readAptHost(host);
    const hasKeyring = await exists(keyring);
    const repositories = debianRepositories({
      release,
      components: ['main'],
      keyring: { $host: keyring },
      ...(aptHost === undefined ? {} : { host: aptHost }),
    });
    const releases = repositories.flatMap(({ uris, suites }) =>
      uris.slice(0, 1).map((uri) => `${uri.replace(/\/$/, '')}/dists/${suites[0] ?? release}/InRelease`),
    );
    return [
      hasKeyring
        ? good('archive-keys', keyring)
        : broken('archive-keys', `${keyring} is missing`, installCommand(host, ['debian-archive-keyring'])),
      ...(await Promise.all(releases.map((url) => reach(url, surroundings)))),
    ];
  },
};

async function reach(url: string, { signal }: Surroundings): Promise<Finding> {
  const place = new URL(url);
  place.username = '';
  place.password = '';
  const name = `mirror:${place.host}${place.pathname.replace(/\/dists\/.*$/, '')}`;
  if (!(await exists(fetcher))) return unknown(name, `${fetcher} is missing, so nobody has asked`);
  await using directory = await temporaryDirectory('/tmp', 'mkimg-doctor-');
  const options = [
    '-o',
    'Acquire::Retries=0',
    '-o',
    'Acquire::http::Timeout=8',
    '-o',
    'Acquire::https::Timeout=8',
  ];
  const file = join(directory.path, 'InRelease');
  const answer = await outputOf([fetcher, ...options, 'download-file', url, file], signal);
  if (answer?.exitCode === 0) return good(name, 'answers');
  const reason = answer?.text.trim().split('\n').at(-1) ?? 'apt-helper cannot be started';
  return broken(
    name,
    `does not answer: ${reason}`,
    'Check the network and the proxy of APT, or set Mirror=.',
  );
}
