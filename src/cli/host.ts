import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../base/errors.ts';
import { exists, namesIn } from '../base/files.ts';
import type { HostFacts } from '../config/setting.ts';
import type { AptHost, AptSourceFile } from '../distro/apt-sources.ts';

/** This machine's APT configuration; undefined where there is none. */
export async function readAptHost(facts: HostFacts): Promise<AptHost | undefined> {
  if (facts.distribution === undefined || !(await exists('/etc/apt'))) return undefined;
  const sources = await readSources();
  const lists = sources.flatMap(({ text }) => [...text.matchAll(/mirror\+file:(?:\/\/)?(\/[^\s\]]+)/g)]);
  const mirrorLists: Record<string, string> = {};
  for (const path of lists.flatMap(([, listed]) => listed ?? [])) {
    mirrorLists[path] = (await readIfAllowed(path)) ?? '';
  }
  return { id: facts.distribution, codename: facts.codename ?? 'sid', sources, mirrorLists };
}

async function readSources(): Promise<readonly AptSourceFile[]> {
  const directory = '/etc/apt/sources.list.d';
  const names = (await namesIn(directory, 'EACCES'))
    .filter((name) => /\.(?:list|sources)$/.test(name))
    .sort();
  const paths = ['/etc/apt/sources.list', ...names.map((name) => join(directory, name))];
  const files: AptSourceFile[] = [];
  for (const path of paths) {
    const text = await readIfAllowed(path);
    if (text !== undefined) files.push({ path, text });
  }
  return files;
}

/** Sources with passwords in them may be closed to ordinary users; then they do not count. */
async function readIfAllowed(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES', 'EISDIR')) return undefined;
    throw error;
  }
}
