import { readlinkSync } from 'node:fs';
import type { HostPath, TreePath } from '../../base/brand.ts';
import { treePath } from '../../base/brand.ts';
import { openSource } from '../../formats/bytes.ts';
import { treeAt } from '../../sandbox/tree.ts';
import { walkTree } from '../walk.ts';
import type { ProgramFile, UnresolvedDlopen } from './unresolved.ts';
import { loaderDirectories, unresolvedDlopens } from './unresolved.ts';

/** The libraries that programs of a tree would open and that are not in it. */
export async function unresolvedInTree(root: HostPath, signal: AbortSignal): Promise<UnresolvedDlopen[]> {
  const files: ProgramFile[] = [];
  const links = new Map<string, string>();
  for await (const { path, file, stats } of walkTree(root, signal)) {
    const name = path.toString('utf8');
    if (stats.isSymbolicLink()) links.set(name, readlinkSync(file, 'utf8'));
    else if (stats.isFile() && mayBeLoaded(name, stats.mode))
      files.push({ path: name, open: () => openSource(file) });
  }
  const tree = treeAt(root);
  const configuration: readonly TreePath[] = [
    treePath('etc/ld.so.conf'),
    ...(await tree.glob('etc/ld.so.conf.d/*.conf')),
  ];
  const texts = await Promise.all(configuration.map((path) => tree.readText(path)));
  const directories = loaderDirectories(texts.flatMap((text) => text ?? []));
  return unresolvedDlopens({ files, links, directories });
}

/** Programs can be executed; libraries need not be, but are called so. */
export function mayBeLoaded(name: string, mode: number): boolean {
  return (mode & 0o111) !== 0 || /\.so(\.[0-9.]+)?$/.test(name);
}
