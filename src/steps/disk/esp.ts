import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../base/brand.ts';
import { treePath } from '../../base/brand.ts';
import { byBytes } from '../../base/canonical.ts';
import { MkimgError } from '../../base/errors.ts';
import { compareVersions } from '../../base/version.ts';
import type { OpenedFiles } from '../../plan/step.ts';
import { treeAt } from '../../sandbox/tree.ts';

/** One file for the partitions that firmware and boot loader read. */
export interface BootFile {
  /** Directory of the image in which the file belongs: `efi` is the ESP, `boot` XBOOTLDR, or the ESP without one. */
  readonly place: 'efi' | 'boot';
  /** Path below that directory. */
  readonly target: string;
  /** On the host, without links on the way. */
  readonly source: HostPath;
  readonly bytes: number;
}

/** What the ESP holds when there is no XBOOTLDR: the content of both directories in one. */
export interface EspContent {
  /** Parents before what is in them. */
  readonly directories: readonly string[];
  /** Sorted by the bytes of their paths. */
  readonly files: readonly BootFile[];
}

/**
 * The files of a directory of the tree. Symbolic links and other special files are left out, for FAT cannot hold them.
 */
export async function treeBootFiles(root: HostPath, place: BootFile['place']): Promise<readonly BootFile[]> {
  const tree = treeAt(root);
  const pending: string[] = [''];
  const files: BootFile[] = [];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    for (const { name, type } of await tree.list(treePath(join(place, directory)))) {
      const target = join(directory, name);
      if (type === 'directory') pending.push(target);
      if (type !== 'file') continue;
      const source = await tree.resolve(treePath(join(place, target)));
      files.push(await bootFile({ place, target }, source));
    }
  }
  return files.sort((left, right) => byBytes(left.target, right.target));
}

async function bootFile(where: Pick<BootFile, 'place' | 'target'>, source: HostPath): Promise<BootFile> {
  const { size } = await lstat(source);
  return { ...where, source, bytes: size };
}

export interface UkiPlacement {
  /** First part of the names, as kernel-install calls it: see entryToken(). */
  readonly token: string;
  /** EFI's name of the architecture, such as `x64`. */
  readonly efi: string;
  readonly bootLoader: boolean;
}

/**
 * Where unified kernel images go: with a boot loader all of them to EFI/Linux/TOKEN-VERSION.efi (Boot Loader Specification,
 * type 2), without one the newest in its place.
 */
export async function ukiBootFiles(ukis: OpenedFiles, placement: UkiPlacement): Promise<readonly BootFile[]> {
  const names = ukis.names.filter((name) => name.endsWith('.efi'));
  const sourceOf = (name: string): HostPath => join(ukis.directory, name) as HostPath;
  if (placement.bootLoader) {
    return Promise.all(
      names.map((name) =>
        bootFile({ place: 'boot', target: `EFI/Linux/${placement.token}-${name}` }, sourceOf(name)),
      ),
    );
  }
  const newest = newestKernel(names);
  if (newest === undefined) throw new Error('internal: a disk image that boots without a kernel');
  return [await bootFile({ place: 'efi', target: fallbackLoader(placement.efi) }, sourceOf(newest))];
}

/** The name with the highest version in front of its suffix. */
function newestKernel(names: readonly string[]): string | undefined {
  const version = (name: string): string => name.slice(0, -'.efi'.length);
  return [...names]
    .sort((left, right) => compareVersions(version(left), version(right)) || byBytes(left, right))
    .at(-1);
}

/** What firmware starts when nothing else is configured (UEFI specification 2.10, section 3.5.1.1). */
export function fallbackLoader(efi: string): string {
  return `EFI/BOOT/BOOT${efi.toUpperCase()}.EFI`;
}

/**
 * Joins files into one FAT file system, whose names do not differ by case alone: directories are merged, of two files with
 * one name the last counts. Empty directories are left out.
 * @throws MkimgError `bad-esp-name` for names that FAT cannot hold.
 */
export function espContent(files: readonly BootFile[]): EspContent {
  const directories = new Map<string, string>();
  const placed = new Map<string, BootFile>();
  for (const file of files) {
    const parts = file.target.split('/');
    const name = parts.pop() ?? '';
    checkFatName(file, [...parts, name]);
    let parent = '';
    for (const part of parts) {
      const path = parent === '' ? part : `${parent}/${part}`;
      const known = directories.get(path.toLowerCase()) ?? path;
      directories.set(path.toLowerCase(), known);
      parent = known;
    }
    const target = parent === '' ? name : `${parent}/${name}`;
    placed.set(target.toLowerCase(), { ...file, target });
  }
  for (const [path, file] of placed) {
    if (directories.has(path)) throw badName(file, 'there is a directory of the same name');
  }
  return {
    directories: [...directories.values()].sort(byBytes),
    files: [...placed.values()].sort((left, right) => byBytes(left.target, right.target)),
  };
}

function checkFatName(file: BootFile, parts: readonly string[]): void {
  for (const part of parts) {
    if (/[\u0000-\u001f\u007f"*:<>?\\|\ufffd]|[ .]$/.test(part) || part.length > 255) {
      throw badName(file, `FAT does not allow the name '${part}'`);
    }
  }
}

function badName(file: BootFile, reason: string): MkimgError {
  return new MkimgError(
    'bad-esp-name',
    `Cannot copy /${file.place}/${file.target} of the image to the ESP: ${reason}.`,
    { hint: 'Rename or remove the file; RemoveFiles= can do so.' },
  );
}

/** True when firmware finds something to start. */
export function hasFallbackLoader(files: readonly BootFile[], efi: string): boolean {
  const wanted = fallbackLoader(efi).toLowerCase();
  return files.some((file) => file.target.toLowerCase() === wanted);
}
