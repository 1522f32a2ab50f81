import { posix } from 'node:path';
import picomatch from 'picomatch';
import { byBytes } from '../../base/canonical.ts';

/** What a program or library of a tree is linked to, or says that it opens. */
export interface LinkedFile {
  /** Without the leading slash. */
  readonly path: string;
  /** DT_SONAME, for libraries. */
  readonly soname: string | undefined;
  /** Names of libraries: DT_NEEDED, and those of dlopen notes. */
  readonly wants: readonly string[];
}

/**
 * The libraries among files whose name matches a pattern and that nothing else asks for: neither a program, nor a library that
 * stays. A library counts as asked for by each of its names: its own, its soname, and those of links to it. Pure.
 * @param links targets by path of symbolic links, both without the leading slash
 */
export function unusedLibraries(
  files: readonly LinkedFile[],
  links: ReadonlyMap<string, string>,
  patterns: readonly string[],
): readonly string[] {
  const isNamed = picomatch([...patterns], { dot: true, nobrace: true, noextglob: true, nonegate: true });
  const names = namesOf(links);
  const candidates = new Map<string, LinkedFile>();
  for (const file of files)
    if (/\.so(\.|$)/.test(file.path) && isNamed(posix.basename(file.path))) candidates.set(file.path, file);
  const unused = new Set(candidates.keys());
  for (;;) {
    const wanted = new Set(files.filter(({ path }) => !unused.has(path)).flatMap(({ wants }) => wants));
    const kept = [...unused].filter((path) =>
      [posix.basename(path), candidates.get(path)?.soname, ...(names.get(path) ?? [])].some(
        (name) => name !== undefined && wanted.has(name),
      ),
    );
    if (kept.length === 0) break;
    for (const path of kept) unused.delete(path);
  }
  const dangling = [...links].filter(([, target]) => unused.has(target)).map(([path]) => path);
  return [...unused, ...dangling].sort(byBytes);
}

/** Names of links, by the file that they lead to. */
function namesOf(links: ReadonlyMap<string, string>): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, string[]>();
  for (const [path, target] of links) names.set(target, [...(names.get(target) ?? []), posix.basename(path)]);
  return names;
}
