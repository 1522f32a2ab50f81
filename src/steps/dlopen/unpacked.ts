import { readlinkSync } from 'node:fs';
import { openSource } from '../../formats/bytes.ts';
import { mergedDirectories } from '../apt/bootstrap.ts';
import type { UnpackedPackage } from '../apt/unpacked.ts';
import { dataFile } from '../apt/unpacked.ts';
import { mayBeLoaded } from './tree.ts';
import type { ProgramFile, UnresolvedDlopen } from './unresolved.ts';
import { unresolvedDlopens } from './unresolved.ts';

/** The libraries that programs of packages would open and that none of the packages has. `native`: Debian's architecture. */
export function unresolvedInPackages(
  packages: readonly UnpackedPackage[],
  native: string,
): UnresolvedDlopen[] {
  const merged = new Set(mergedDirectories(native));
  const place = (path: string): string => (merged.has(path.split('/')[0] ?? '') ? `usr/${path}` : path);
  const links = new Map([...merged].map((name): [string, string] => [name, `usr/${name}`]));
  const files: ProgramFile[] = [];
  for (const { directory, members } of packages) {
    for (const { path, type, mode } of members) {
      const at = dataFile(directory, path);
      if (type === 'symlink' && path.includes('/')) links.set(place(path), readlinkSync(at, 'latin1'));
      if (type === 'file' && mayBeLoaded(path, mode))
        files.push({ path: place(path), open: () => openSource(at) });
    }
  }
  return unresolvedDlopens({ files, links });
}
