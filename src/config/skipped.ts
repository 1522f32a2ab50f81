import { dirname, join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { hostPath } from '../base/brand.ts';
import { prefixOf } from './directory.ts';
import type { ConfigFiles } from './files.ts';
import type { FailedCondition } from './history.ts';
import type { ResolvedImage } from './resolved-image.ts';

/** A configuration file that an image's configuration has, and that does not count. */
export interface SkippedFile {
  readonly path: HostPath;
  /** The configuration directory that it belongs to. */
  readonly directory: HostPath;
  /** The conditions that do not hold, of this file or of the mkimg.conf of its directory. */
  readonly failed: readonly FailedCondition[];
  /** The profile that is not on, where this is the reason. */
  readonly profile?: string;
}

/** All files that were skipped: for their conditions, with their directory, or as part of a profile that is not on. */
export function skippedFiles(image: ResolvedImage, files: ConfigFiles): readonly SkippedFile[] {
  const unmatched = image.files.filter(({ failed }) => failed.length > 0);
  const byCondition = unmatched.flatMap(({ path, directory, failed, decidesForDirectory }) =>
    (decidesForDirectory ? filesOf(directory, files) : [path]).map((file) => ({
      path: file,
      directory,
      failed,
    })),
  );
  const read = new Set<string>([...image.files, ...byCondition].map(({ path }) => path));
  const ofProfiles = profileFiles(image, files).filter(({ path }) => !read.has(path));
  return [...byCondition, ...ofProfiles];
}

function profileFiles(image: ResolvedImage, files: ConfigFiles): readonly SkippedFile[] {
  const { directory } = image;
  const prefix = prefixOf(files, directory);
  if (prefix === undefined) return [];
  const profiles = join(directory, `${prefix}.profiles`);
  return files
    .list(profiles)
    .filter((name) => !image.config.Profiles.includes(name.replace(/\.conf$/, '')))
    .flatMap((name) => {
      const path = hostPath(join(profiles, name));
      const found = files.stat(path)?.directory === true ? filesOf(path, files) : [path];
      const profile = name.replace(/\.conf$/, '');
      return found
        .filter((file) => file.endsWith('.conf'))
        .map((file) => ({ path: file, directory: hostPath(dirname(file)), failed: [], profile }));
    });
}

/** The files of settings of a configuration directory, in the order in which they would be read. */
export function filesOf(directory: HostPath, files: ConfigFiles): readonly HostPath[] {
  return filesBelow(directory, files, []);
}

/** @param open real paths of the directories around it: one that contains itself through a link is not entered again */
function filesBelow(directory: HostPath, files: ConfigFiles, open: readonly string[]): readonly HostPath[] {
  const real = files.realPath(directory);
  if (open.includes(real)) return [];
  const isDirectory = (path: HostPath): boolean => files.stat(path)?.directory === true;
  const below = (path: HostPath): readonly HostPath[] => filesBelow(path, files, [...open, real]);
  const prefix = prefixOf(files, directory) ?? 'mkimg';
  const at = (suffix: string): HostPath => hostPath(join(directory, `${prefix}${suffix}`));
  const plain = ['.conf', '.local.conf'].map(at).filter((path) => files.stat(path)?.directory === false);
  const local = isDirectory(at('.local')) ? below(at('.local')) : [];
  const dropIns = ['.conf.d', '.profiles'].map(at).flatMap((path) =>
    files.list(path).flatMap((name) => {
      const entry = hostPath(join(path, name));
      if (isDirectory(entry)) return below(entry);
      return name.endsWith('.conf') ? [entry] : [];
    }),
  );
  return [...plain, ...local, ...dropIns];
}
