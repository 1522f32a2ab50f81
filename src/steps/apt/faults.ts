import type { Origin } from '../../base/diagnostic.ts';
import { MkimgError } from '../../base/errors.ts';

/** A fault that apt reports, as an error of ours. */
interface Fault {
  readonly pattern: RegExp;
  readonly code: string;
  /** `$1` and so on stand for the groups of the pattern. */
  readonly message: string;
  readonly hint: string;
}

/** What `apt-get update` says, most specific first. Wording of apt 2.6 to 3.0. */
const updateFaults: readonly Fault[] = [
  {
    pattern:
      /(?:repository|GPG error:) '?(\S+ \S+) \S+?'? is not signed|(?:GPG error|OpenPGP signature verification failed): (\S+ \S+) \S+:/,
    code: 'bad-signature',
    message: 'The repository $1$2 is not signed by a key that is trusted for it.',
    hint: 'Check the mirror, and that the keyring has its key (newer releases need a newer debian-archive-keyring). --repository-key-check=no accepts unsigned repositories.',
  },
  {
    pattern: /repository '(\S+) (\S+) \S+' (?:does not have|no longer has) a Release file/,
    code: 'suite-not-found',
    message: 'The mirror $1 has no suite $2.',
    hint: 'Check Release= and Mirror=.',
  },
  {
    pattern: /Release file for (\S+) is not valid yet/,
    code: 'metadata-not-yet-valid',
    message: 'The release file $1 was made in the future.',
    hint: "Check this machine's clock.",
  },
  {
    pattern: /Failed to fetch (\S+)\s+(?:Hash Sum mismatch|File has unexpected size)/,
    code: 'hash-mismatch',
    message: 'The package index $1 does not have the hash that its release file states.',
    hint: 'The mirror may be in the middle of an update: try again in some minutes, or use another Mirror=.',
  },
  {
    pattern: /Failed to fetch (\S+)\s+(.+?):?$/,
    code: 'mirror-unreachable',
    message: 'Cannot fetch $1: $2',
    hint: 'Check the network, the proxy variables (http_proxy) and Mirror=. With --cache-only=metadata the indexes of the last build are used.',
  },
];

/**
 * Explains a failed update by what apt wrote; the error itself when it says nothing that is known. What is explained needs
 * no look into apt's sandbox.
 */
export function explainUpdateFailure(error: unknown, origin: Origin | undefined): unknown {
  if (!(error instanceof MkimgError) || error.code !== 'tool-failed') return error;
  for (const fault of updateFaults) {
    for (const line of error.tail) {
      const match = fault.pattern.exec(line);
      if (match === null) continue;
      const message = fault.message.replace(/\$(\d)/g, (_, group: string) => match[Number(group)] ?? '');
      return new MkimgError(fault.code, message, {
        hint: fault.hint,
        tail: error.tail,
        cause: error,
        ...(origin === undefined ? {} : { origin }),
      });
    }
  }
  return error;
}

/** Names that apt could not turn into a version to install, with what it said of them. */
export interface MissingPackage {
  readonly name: string;
  readonly reason: string;
  /** No package has this name: it may be mistyped. */
  readonly isUnknown: boolean;
}

const missingPatterns: readonly { readonly pattern: RegExp; readonly reason: string }[] = [
  { pattern: /^E: Unable to locate package (\S+)/, reason: 'there is no such package' },
  {
    pattern: /^E: Package '([^']+)' has no installation candidate/,
    reason: 'no repository has a version of it',
  },
  { pattern: /^E: Version '([^']+)' for '([^']+)' was not found/, reason: 'there is no version $1 of it' },
  { pattern: /^E: Release '([^']+)' for '([^']+)' was not found/, reason: 'there is no version of it in $1' },
  { pattern: /^E: Couldn't find any package by (?:glob|regex) '([^']+)'/, reason: 'nothing matches it' },
];

/** Reads apt's complaints about packages that it cannot find. */
export function missingPackages(lines: readonly string[]): MissingPackage[] {
  const missing = new Map<string, MissingPackage>();
  for (const line of lines) {
    for (const [index, { pattern, reason }] of missingPatterns.entries()) {
      const match = pattern.exec(line);
      const name = match?.[2] ?? match?.[1];
      if (name === undefined || missing.has(name)) continue;
      missing.set(name, { name, reason: reason.replace('$1', match?.[1] ?? ''), isUnknown: index === 0 });
    }
  }
  return [...missing.values()];
}
