import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { HostPath } from '../../src/base/brand.ts';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';

/** Writes a configuration directory that is removed at the end of the scope. */
export async function project(files: Readonly<Record<string, string>>): Promise<TemporaryDirectory> {
  const directory = await temporaryDirectory('/var/tmp', 'mkimg-project-');
  await chmod(directory.path, 0o755);
  await writeFiles(directory.path, files);
  return directory;
}

/** Writes files below a directory; those that begin with `#!` become executable. */
export async function writeFiles(root: HostPath, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    const path = join(root, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    if (text.startsWith('#!')) await chmod(path, 0o755);
  }
}
