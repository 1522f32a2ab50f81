import { basename } from 'node:path';
import { formatStanzas, parseStanzas, words } from './deb822.ts';
import type { HostInput } from './inputs.ts';
import type { AptRepository } from './repositories.ts';
import { debianReleaseFacts } from './tables/debian.ts';

/** A text file of APT's configuration. */
export interface AptSourceFile {
  /** Its name decides the format: `.sources` is deb822, all else one line for each source (sources.list(5)). */
  readonly path: string;
  readonly text: string;
}

/** One enabled source of binary packages in a host's configuration. */
export interface AptSource {
  readonly uris: readonly string[];
  readonly suites: readonly string[];
  readonly components: readonly string[];
  /** Keyring files or fingerprints, or an inline key block, as written. */
  readonly signedBy?: string;
}

/** What the host's APT is configured with. */
export interface AptHost {
  /** ID= of the host's os-release. */
  readonly id: string;
  /** VERSION_CODENAME= of the host's os-release; `sid` where there is none. */
  readonly codename: string;
  readonly sources: readonly AptSourceFile[];
  /** Contents of the files that `mirror+file:` URIs name, by path. */
  readonly mirrorLists?: Readonly<Record<string, string>>;
}

export interface DebianRepositoryRequest {
  /** Codename, such as `trixie`. */
  readonly release: string;
  readonly components: readonly string[];
  /** Mirror=: replaces the archive's URI, never the security archive's. A path is taken as a `file:` URI. */
  readonly mirror?: string;
  readonly host?: AptHost;
  /** Keyring that signs both archives. */
  readonly keyring: HostInput;
}

/** The mirror network that Debian asks everybody to use who has no mirror of their own. */
const publicUris = {
  archive: ['http://ftp.debian.org/debian'],
  security: ['http://security.debian.org/debian-security'],
};

/**
 * The repositories of a Debian image: the release, its updates and its security archive, as far as the release has them.
 * Where the host runs Debian, the URIs are those of its own configuration.
 */
export function debianRepositories(request: DebianRepositoryRequest): AptRepository[] {
  const facts = debianReleaseFacts(request.release);
  const host = request.host === undefined ? undefined : debianHostUris(request.host);
  const common = { components: request.components, signedBy: request.keyring };
  const repositories: AptRepository[] = [
    {
      uris: archiveUris(request.mirror, host?.archive),
      suites: facts.updates ? [request.release, `${request.release}-updates`] : [request.release],
      ...common,
    },
  ];
  if (facts.security) {
    repositories.push({
      uris: host?.security ?? publicUris.security,
      suites: [`${request.release}-security`],
      ...common,
    });
  }
  return repositories;
}

/** Reads sources.list(5) files of both formats into the enabled sources of binary packages, in the order given. */
export function parseAptSources(files: readonly AptSourceFile[]): AptSource[] {
  return files.flatMap((file) =>
    file.path.endsWith('.sources') ? deb822Sources(file.text) : lineSources(file.text),
  );
}

/** What of a repository goes into a `.sources` file; `signedBy` is the keyring's path as the reader of the file sees it. */
export interface SourcesEntry {
  readonly uris: readonly string[];
  readonly suites: readonly string[];
  readonly components: readonly string[];
  readonly signedBy?: string;
  readonly trusted?: boolean;
  /** Debian's name; absent to let apt take its own. */
  readonly architecture?: string;
}

/** Text of a `.sources` file (deb822). */
export function formatAptSources(entries: readonly SourcesEntry[]): string {
  return formatStanzas(
    entries.map((entry) => [
      ['Types', 'deb'],
      ['URIs', entry.uris.join(' ')],
      ['Suites', entry.suites.join(' ')],
      ...optional('Components', entry.components.length > 0 ? entry.components.join(' ') : undefined),
      ...optional('Architectures', entry.architecture),
      ...optional('Signed-By', entry.signedBy),
      ...optional('Trusted', entry.trusted === true ? 'yes' : undefined),
    ]),
  );
}

/**
 * Text of the sources file that an image gets which has apt: the repositories it was made from, with the keyrings where
 * the distribution's keyring package puts them.
 */
export function formatImageSources(repositories: readonly AptRepository[]): string {
  return formatAptSources(
    repositories.map(({ signedBy, ...entry }) => ({
      ...entry,
      ...(signedBy === undefined ? {} : { signedBy: `/usr/share/keyrings/${basename(signedBy.$host)}` }),
    })),
  );
}

function optional(name: string, value: string | undefined): [string, string][] {
  return value === undefined ? [] : [[name, value]];
}

function archiveUris(mirror: string | undefined, host: readonly string[] | undefined): readonly string[] {
  if (mirror === undefined) return host ?? publicUris.archive;
  return [mirror.startsWith('/') ? `file:${mirror}` : mirror];
}

interface HostUris {
  readonly archive?: readonly string[];
  readonly security?: readonly string[];
}

/** The host's URIs of Debian's two archives; a member is absent where the host has no such source. */
function debianHostUris(host: AptHost): HostUris {
  if (host.id !== 'debian') return {};
  const sources = parseAptSources(host.sources)
    .filter((source) => source.components.includes('main') && isSignedByDebian(source))
    .map((source) => ({ ...source, uris: source.uris.flatMap((uri) => expandUri(uri, host)) }))
    .filter((source) => source.uris.length > 0);
  const names = [host.codename, ...debianReleaseFacts(host.codename).aliases];
  const withSuffix = (...suffixes: string[]): AptSource[] =>
    sources.filter((source) =>
      source.suites.some((suite) => suffixes.some((suffix) => names.some((name) => suite === name + suffix))),
    );
  const archive = pickArchive(withSuffix(''), withSuffix('-updates'));
  const security = withSuffix('-security', '/updates')[0];
  return {
    ...(archive === undefined ? {} : { archive: archive.uris }),
    ...(security === undefined ? {} : { security: security.uris }),
  };
}

/**
 * Third parties name their suites after Debian's releases too. Only Debian's archive also carries updates, and its path
 * is `debian` by convention.
 */
function pickArchive(candidates: readonly AptSource[], updates: readonly AptSource[]): AptSource | undefined {
  const updateUris = new Set(updates.flatMap((source) => source.uris));
  return (
    candidates.find((source) => source.uris.some((uri) => updateUris.has(uri))) ??
    candidates.find((source) => source.uris.some((uri) => /\/debian\/?$/.test(uri)))
  );
}

/** Third-party sources carry a key of their own. Without Signed-By= any of the host's trusted keys may have signed. */
function isSignedByDebian(source: AptSource): boolean {
  return source.signedBy === undefined || /(^|\/)debian-archive-[^/]*\.(gpg|pgp|asc)$/.test(source.signedBy);
}

/** `mirror+file:` (apt-transport-mirror(1)) becomes the URIs of the list; what only works on that host is dropped. */
function expandUri(uri: string, host: AptHost): string[] {
  const list = /^mirror\+file:(?:\/\/)?(\/.*)$/.exec(uri)?.[1];
  if (list !== undefined) {
    const lines = (host.mirrorLists?.[list] ?? '').split('\n').map((line) => line.replace(/#.*/, ''));
    return lines.flatMap((line) => words(line).slice(0, 1)).flatMap((entry) => expandUri(entry, host));
  }
  return /^(https?|file):/.test(uri) ? [uri.replace(/\/+$/, '')] : [];
}

function deb822Sources(text: string): AptSource[] {
  return parseStanzas(text).flatMap((stanza) => {
    if (!words(stanza.get('types')).includes('deb') || isNo(stanza.get('enabled'))) return [];
    const signedBy = stanza.get('signed-by');
    return [
      {
        uris: words(stanza.get('uris')),
        suites: words(stanza.get('suites')),
        components: words(stanza.get('components')),
        ...(signedBy === undefined ? {} : { signedBy }),
      },
    ];
  });
}

function isNo(value: string | undefined): boolean {
  return (
    value !== undefined && ['no', 'false', 'without', 'off', 'disable', '0'].includes(value.toLowerCase())
  );
}

const linePattern = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s*(.*)$/;

function lineSources(text: string): AptSource[] {
  return text.split('\n').flatMap((line) => {
    const match = linePattern.exec(line.replace(/#.*/, ''));
    const [, options = '', uri, suite, components = ''] = match ?? [];
    // A cdrom: URI has blanks inside brackets and is of no use on another machine.
    if (uri === undefined || suite === undefined || uri.startsWith('cdrom:')) return [];
    const signedBy = words(options).find((word) => word.startsWith('signed-by='));
    return [
      {
        uris: [uri],
        suites: [suite],
        components: words(components),
        ...(signedBy === undefined ? {} : { signedBy: signedBy.slice('signed-by='.length) }),
      },
    ];
  });
}

/** Names of sources files that, given in a sandbox tree, replace the generated sources. */
export const userSourcesFiles = ['mkimg.sources', 'mkosi.sources'] as const;
