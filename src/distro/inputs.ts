import type { HostPath } from '../base/brand.ts';

/** A file or directory of the user's. In a key it counts as a digest of contents and metadata, never as a path. */
export interface HostInput {
  readonly $host: HostPath;
  /**
   * Files and directories below it that do not count, by absolute path: the output directory inside the build sources,
   * for example, which changes with each build.
   */
  readonly exclude?: readonly HostPath[];
}
