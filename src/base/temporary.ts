import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from './brand.ts';
import { hostPath } from './brand.ts';

/** A directory that is removed at the end of its scope (`await using`). */
export interface TemporaryDirectory extends AsyncDisposable {
  readonly path: HostPath;
}

/** Makes a directory of mode 0700 below `parent` with a random name that begins with `prefix`. */
export async function temporaryDirectory(parent: string, prefix: string): Promise<TemporaryDirectory> {
  const path = hostPath(await mkdtemp(join(parent, prefix)));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
