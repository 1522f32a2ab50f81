import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import type { AptHost } from '../../../src/distro/apt-sources.ts';
import {
  debianRepositories,
  formatAptSources,
  formatImageSources,
  parseAptSources,
} from '../../../src/distro/apt-sources.ts';

const keyring = { $host: hostPath('/usr/share/keyrings/debian-archive-keyring.gpg') };

const deb822 = `# The archive
Types: deb deb-src
URIs: http://mirror.example/debian/
Suites: bookworm
  bookworm-updates
Components: main contrib
# a comment between fields
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://disabled.example/debian
Suites: bookworm bookworm-updates
Components: main
`;

const thirdParty = `Types: deb
URIs: https://vendor.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBF
 -----END PGP PUBLIC KEY BLOCK-----
`;

function host(sources: Record<string, string>, more: Partial<AptHost> = {}): AptHost {
  const files = Object.entries(sources).map(([path, text]) => ({ path, text }));
  return { id: 'debian', codename: 'bookworm', sources: files, ...more };
}

function uris(given: AptHost | undefined, options: { release?: string; mirror?: string } = {}): string[][] {
  const { release = 'trixie', mirror } = options;
  return debianRepositories({
    release,
    components: ['main'],
    keyring,
    ...(given === undefined ? {} : { host: given }),
    ...(mirror === undefined ? {} : { mirror }),
  }).map((repository) => [...repository.uris]);
}

describe('parseAptSources', () => {
  it('reads deb822 with several values, comments and inline keys, and leaves disabled stanzas out', () => {
    const sources = parseAptSources([
      { path: 'a.sources', text: deb822 },
      { path: 'b.sources', text: thirdParty },
    ]);
    expect(sources).toHaveLength(3);
    expect(sources[0]).toEqual({
      uris: ['http://mirror.example/debian/'],
      suites: ['bookworm', 'bookworm-updates'],
      components: ['main', 'contrib'],
      signedBy: '/usr/share/keyrings/debian-archive-keyring.gpg',
    });
    expect(sources[2]?.signedBy).toContain('BEGIN PGP');
  });

  it('reads one-line sources with options and comments, and skips deb-src and cdrom', () => {
    const text = `deb [ arch=amd64 signed-by=/k.gpg ] http://a.example/debian bookworm main contrib # note
deb-src http://a.example/debian bookworm main
#deb http://b.example/debian bookworm main
deb cdrom:[Debian 12 _Bookworm_]/ bookworm main
deb http://c.example/flat ./
`;
    expect(parseAptSources([{ path: '/etc/apt/sources.list', text }])).toEqual([
      {
        uris: ['http://a.example/debian'],
        suites: ['bookworm'],
        components: ['main', 'contrib'],
        signedBy: '/k.gpg',
      },
      { uris: ['http://c.example/flat'], suites: ['./'], components: [] },
    ]);
  });
});

describe('debianRepositories', () => {
  it('has release, updates and security, in that order', () => {
    const [archive, security] = debianRepositories({
      release: 'trixie',
      components: ['main', 'contrib'],
      keyring,
    });
    expect(archive?.suites).toEqual(['trixie', 'trixie-updates']);
    expect(security?.suites).toEqual(['trixie-security']);
    expect(security?.components).toEqual(['main', 'contrib']);
    expect(security?.signedBy).toEqual(keyring);
  });

  it('knows that sid has neither updates nor security', () => {
    const repositories = debianRepositories({ release: 'sid', components: ['main'], keyring });
    expect(repositories.map(({ suites }) => suites)).toEqual([['sid']]);
  });

  it('takes the URIs of a Debian host, never those of third parties', () => {
    const given = host({ 'vendor.sources': thirdParty, 'debian.sources': deb822 });
    expect(uris(given)).toEqual([
      ['http://mirror.example/debian'],
      ['http://security.example/debian-security'],
    ]);
  });

  it('recognises one-line sources, suite aliases and old security suites', () => {
    const text =
      'deb http://m.example/debian oldstable main\ndeb http://s.example/sec bookworm/updates main\n';
    expect(uris(host({ '/etc/apt/sources.list': text }))).toEqual([
      ['http://m.example/debian'],
      ['http://s.example/sec'],
    ]);
  });

  it('prefers the source that has updates over another with the same suite', () => {
    const text = `deb http://vendor.example/stuff bookworm main
deb http://m.example/debian bookworm main
deb http://m.example/debian bookworm-updates main
`;
    expect(uris(host({ '/etc/apt/sources.list': text }))[0]).toEqual(['http://m.example/debian']);
  });

  it('does not take a lone foreign archive whose suites are named like ours', () => {
    const text = 'deb http://vendor.example/stuff bookworm main\n';
    expect(uris(host({ '/etc/apt/sources.list': text }))).toEqual(uris(undefined));
  });

  it('follows mirror lists', () => {
    const text = 'deb mirror+file:///etc/apt/mirrors/debian.list bookworm main\n';
    const mirrorLists = {
      '/etc/apt/mirrors/debian.list':
        '# local\nhttps://one.example/debian\nhttps://two.example/debian priority:2\n',
    };
    expect(uris(host({ '/etc/apt/sources.list': text }, { mirrorLists }))[0]).toEqual([
      'https://one.example/debian',
      'https://two.example/debian',
    ]);
  });

  it('uses the public network where the host is another distribution or says nothing', () => {
    expect(uris(host({ 'debian.sources': deb822 }, { id: 'ubuntu' }))).toEqual(uris(undefined));
    expect(uris(host({}))).toEqual(uris(undefined));
  });

  it('replaces the archive only by Mirror=', () => {
    const given = host({ 'debian.sources': deb822 });
    expect(uris(given, { mirror: 'https://near.example/debian' })).toEqual([
      ['https://near.example/debian'],
      ['http://security.example/debian-security'],
    ]);
    expect(uris(given, { mirror: '/srv/debian' })[0]).toEqual(['file:/srv/debian']);
  });
});

describe('formatAptSources', () => {
  it('writes what parseAptSources reads', () => {
    const entries = [
      {
        uris: ['http://a.example/debian'],
        suites: ['trixie', 'trixie-updates'],
        components: ['main'],
        signedBy: '/k.gpg',
      },
      { uris: ['file:/srv/debs'], suites: ['./'], components: [], trusted: true, architecture: 'amd64' },
    ];
    const text = formatAptSources(entries);
    expect(text).toBe(`Types: deb
URIs: http://a.example/debian
Suites: trixie trixie-updates
Components: main
Signed-By: /k.gpg

Types: deb
URIs: file:/srv/debs
Suites: ./
Architectures: amd64
Trusted: yes
`);
    expect(parseAptSources([{ path: 'x.sources', text }]).map(({ suites }) => suites)).toEqual([
      ['trixie', 'trixie-updates'],
      ['./'],
    ]);
  });

  it('names keyrings in an image where its packages put them', () => {
    const repository = { uris: ['http://a.example/debian'], suites: ['sid'], components: ['main'] };
    const signedBy = { $host: hostPath('/srv/keys/debian-archive-keyring.gpg') };
    expect(formatImageSources([{ ...repository, signedBy }])).toContain(
      'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n',
    );
  });
});
