import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatStanzas } from '../../src/distro/deb822.ts';
import { debianSet } from './apt-bench.ts';

/**
 * Writes a sandbox tree that takes packages from a release alone, without its updates: mirrors that are not in step have
 * wrong indexes of these for rarer architectures. The mirror is the one that this machine uses.
 */
export async function archiveTree(directory: string, release: string): Promise<string> {
  const [repository] = (await debianSet(release)).repositories;
  if (repository === undefined) throw new Error(`no repository of ${release}`);
  const tree = join(directory, `archive-${release}`);
  const sources = join(tree, 'etc/apt/sources.list.d');
  await mkdir(sources, { recursive: true });
  const text = formatStanzas([
    [
      ['Types', 'deb'],
      ['URIs', repository.uris.join(' ')],
      ['Suites', release],
      ['Components', 'main'],
      ['Signed-By', repository.signedBy?.$host ?? ''],
    ],
  ]);
  await writeFile(join(sources, 'mkimg.sources'), text);
  return tree;
}
