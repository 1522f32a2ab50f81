import { posix } from 'node:path';
import { byBytes } from '../../base/canonical.ts';
import { isErrno, MkimgError } from '../../base/errors.ts';
import type { ByteSource } from '../../formats/bytes.ts';
import type { DlopenNote } from '../../formats/dlopen.ts';
import { dlopenNotes } from '../../formats/dlopen.ts';
import type { ElfFile } from '../../formats/elf-file.ts';
import { isElf, openElf } from '../../formats/elf-file.ts';

/** A regular file of a tree or an archive. */
export interface ProgramFile {
  /** Without the leading slash. */
  readonly path: string;
  readonly open: () => ByteSource & Disposable;
}

/** A library that a program would open, and that is not there. */
export interface UnresolvedDlopen extends DlopenNote {
  /** The files that say so, without the leading slash, sorted. */
  readonly by: readonly string[];
}

export interface DlopenScene {
  readonly files: Iterable<ProgramFile>;
  /** Links among the files; their targets as written. */
  readonly links: ReadonlyMap<string, string>;
  /** Further directories of libraries: those of etc/ld.so.conf, without the leading slash. */
  readonly directories?: readonly string[];
}

/** ld.so(8), and the directories that Debian's and others' loaders know besides. */
const standardDirectories = ['lib', 'usr/lib', 'lib64', 'usr/lib64', 'usr/lib32', 'usr/libx32'];

/**
 * The libraries that the programs of a tree would open and the loader would not find: in the directories that it searches, or
 * in those that the program itself names. Libraries for another machine do not count. Files that are damaged are passed over.
 */
export function unresolvedDlopens({ files, links, directories = [] }: DlopenScene): UnresolvedDlopen[] {
  const libraries = new Libraries(links);
  const askers: { readonly path: string; readonly file: ElfFile; readonly notes: readonly DlopenNote[] }[] =
    [];
  for (const { path, open } of files) {
    const file = readElf(open);
    if (file === undefined) continue;
    libraries.add(path, file.machine);
    if (file.notes.length > 0) askers.push({ path, file: file.elf, notes: file.notes });
  }
  const common = [...standardDirectories, ...libraries.multiarchDirectories(), ...directories];
  const found = new Map<string, { note: DlopenNote; by: string[] }>();
  for (const { path, file, notes } of askers) {
    const own = runpaths(path, file);
    for (const note of notes) {
      if (note.sonames.some((soname) => libraries.has(soname, [...own, ...common], file.machine))) continue;
      const key = JSON.stringify([note.feature, note.priority, note.sonames]);
      const known = found.get(key) ?? { note, by: [] };
      known.by.push(path);
      found.set(key, known);
    }
  }
  return [...found.values()]
    .map(({ note, by }) => ({ ...note, by: by.sort(byBytes) }))
    .sort((left, right) => byBytes(left.sonames[0] ?? '', right.sonames[0] ?? ''));
}

interface ReadFile {
  readonly elf: ElfFile;
  readonly machine: string;
  readonly notes: readonly DlopenNote[];
}

function readElf(open: ProgramFile['open']): ReadFile | undefined {
  try {
    using source = open();
    if (!isElf(source)) return undefined;
    const elf = openElf(source);
    // The file is closed afterwards: what it says is read now.
    const dynamic = elf.dynamic();
    const { machine } = elf;
    return { machine, notes: dlopenNotes(elf), elf: { machine, notes: () => [], dynamic: () => dynamic } };
  } catch (error) {
    if (error instanceof MkimgError || isErrno(error, 'EACCES', 'ENOENT')) return undefined;
    throw error;
  }
}

function runpaths(path: string, file: ElfFile): string[] {
  const origin = `/${posix.dirname(path)}`;
  return (file.dynamic()?.runpath ?? [])
    .map((directory) => directory.replace(/\$(?:ORIGIN|\{ORIGIN\})/g, origin))
    .filter((directory) => directory.startsWith('/'))
    .map((directory) => posix.normalize(directory).slice(1));
}

/** Where a tree has files that a loader could take for libraries. */
class Libraries {
  readonly #machines = new Map<string, string>();
  readonly #links: ReadonlyMap<string, string>;

  constructor(links: ReadonlyMap<string, string>) {
    this.#links = links;
  }

  add(path: string, machine: string): void {
    this.#machines.set(path, machine);
  }

  has(name: string, directories: readonly string[], machine: string): boolean {
    return directories.some(
      (directory) => this.#machines.get(this.#real(`${directory}/${name}`)) === machine,
    );
  }

  /** Debian's usr/lib/TRIPLET, which its loaders have built in. */
  multiarchDirectories(): string[] {
    const found = new Set<string>();
    for (const path of [...this.#machines.keys(), ...this.#links.keys()]) {
      const [, directory] = /^((?:usr\/)?lib\/[a-z0-9_]+-linux-[a-z0-9]+)\/[^/]+$/.exec(path) ?? [];
      if (directory !== undefined) found.add(directory);
    }
    return [...found].sort(byBytes);
  }

  /** The path with all links followed, inside the tree; a circle ends where the kernel's patience does. */
  #real(path: string): string {
    const done: string[] = [];
    const pending = path.split('/').reverse();
    let links = 0;
    for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
      if (part === '' || part === '.') continue;
      if (part === '..') {
        done.pop();
        continue;
      }
      done.push(part);
      const target = this.#links.get(done.join('/'));
      if (target === undefined) continue;
      if (++links > 40) return '';
      if (target.startsWith('/')) done.length = 0;
      else done.pop();
      pending.push(...target.split('/').reverse());
    }
    return done.join('/');
  }
}

/** Directories that etc/ld.so.conf, or a file that it includes, adds; comments and other directives are passed over. */
export function loaderDirectories(texts: readonly string[]): string[] {
  return texts
    .flatMap((text) => text.split('\n'))
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line.startsWith('/'))
    .map((line) => posix.normalize(line).slice(1).replace(/\/$/, ''));
}
