import { join } from 'node:path';
import { byBytes } from '../../base/canonical.ts';
import { namesIn, readTextIfExists } from '../../base/files.ts';
import type { Entry } from '../../engine/store.ts';

const listSuffix = '.list';

/**
 * Which paths came with which package: dpkg's lists in the layers in which packages were unpacked. Paths are those of a
 * system in which /bin, /lib and /sbin lead into /usr.
 */
export async function pathOwners(layers: readonly Entry[]): Promise<Record<string, string[]>> {
  const owners = new Map<string, readonly string[]>();
  for (const { path } of layers) {
    const directory = join(path, 'var/lib/dpkg/info');
    for (const name of (await namesIn(directory)).filter((file) => file.endsWith(listSuffix))) {
      const text = (await readTextIfExists(join(directory, name))) ?? '';
      const [owner = ''] = name.slice(0, -listSuffix.length).split(':');
      owners.set(
        owner,
        text
          .split('\n')
          .filter((line) => line.length > 1)
          .map(placeOf),
      );
    }
  }
  const sorted = [...owners].sort(([left], [right]) => byBytes(left, right));
  return Object.fromEntries(sorted.map(([owner, paths]) => [owner, [...paths]]));
}

function placeOf(line: string): string {
  const path = line.slice(1);
  return /^(?:bin|sbin|lib|lib32|lib64|libx32)\//.test(path) ? `usr/${path}` : path;
}
