import type { HostInput } from './inputs.ts';

/** One deb822 stanza: a place where packages come from. */
export interface AptRepository {
  readonly uris: readonly string[];
  readonly suites: readonly string[];
  readonly components: readonly string[];
  /** Keyring file for Signed-By=; absent only with signature checking off. */
  readonly signedBy?: HostInput;
  readonly trusted?: boolean;
}

/** All repositories of an image, with the policy for reading them. */
export interface RepositorySet {
  readonly kind: 'apt';
  readonly repositories: readonly AptRepository[];
  readonly checkSignatures: boolean;
  /** Refuse release files past their Valid-Until. */
  readonly checkValidUntil: boolean;
  /** Further etc/apt from SandboxTrees=: preferences, more sources, keys. */
  readonly sandboxTrees: readonly HostInput[];
}
