import type { Sha256 } from '../../base/brand.ts';
import { sha256Digest } from '../../base/brand.ts';
import type { Stanza } from '../../distro/deb822.ts';
import { stanzaRelations, stanzaSource } from '../../distro/dpkg-status.ts';
import type { ResolvedPackage } from '../../distro/resolved.ts';

/** One package file of a solution, as `apt-get --print-uris` names it. */
export interface SolutionFile {
  readonly url: string;
  readonly name: string;
  readonly version: string;
  /** Debian's name, or `all`. */
  readonly architecture: string;
  readonly size: number;
  readonly sha256: Sha256;
}

const linePattern = /^'([^']+)' (\S+)_(\S+)_([a-z0-9-]+)\.deb (\d+) SHA256:([0-9a-f]{64})$/;

/**
 * Reads the answer of `apt-get --print-uris`.
 * @throws Error (internal) for a line of another form, such as one without a SHA-256.
 */
export function parsePrintUris(text: string): SolutionFile[] {
  return text.split('\n').flatMap((line) => {
    if (line.trim() === '') return [];
    const [, url, name, version, architecture, size, digest] = linePattern.exec(line) ?? [];
    if (url === undefined || name === undefined || version === undefined) {
      throw new Error(`internal: apt-get --print-uris wrote: ${line}`);
    }
    return [
      {
        url,
        name,
        // The file name has the epoch's colon as %3a.
        version: decodeURIComponent(version),
        architecture: architecture ?? '',
        size: Number(size),
        sha256: sha256Digest(digest ?? ''),
      },
    ];
  });
}

/** How to ask apt for exactly this package. */
export function exactVersion(file: SolutionFile, native: string): string {
  const isNative = file.architecture === native || file.architecture === 'all';
  return `${file.name}${isNative ? '' : `:${file.architecture}`}=${file.version}`;
}

/** Joins a package file with its index entry. `base` is left for markBaseSet(). */
export function resolvedPackage(
  file: SolutionFile,
  stanza: Stanza,
  urls: readonly string[],
): ResolvedPackage {
  const multiArch = stanza.get('multi-arch');
  const kibibytes = Number(stanza.get('installed-size') ?? Number.NaN);
  return {
    name: file.name,
    version: file.version,
    architecture: file.architecture,
    urls,
    size: file.size,
    ...(Number.isSafeInteger(kibibytes) && kibibytes >= 0 ? { installedSize: kibibytes * 1024 } : {}),
    sha256: file.sha256,
    essential: stanza.get('essential') === 'yes',
    base: false,
    source: stanzaSource(stanza, file),
    ...(multiArch === undefined ? {} : { multiArch }),
    relations: stanzaRelations(stanza),
  };
}
