import { createHmac, randomBytes } from 'node:crypto';
import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath, Sha256 } from '../base/brand.ts';
import { sha256Digest } from '../base/brand.ts';
import { isErrno } from '../base/errors.ts';

/** Turns a secret into what may stand in a plan or a key. */
export type SecretHash = (value: string) => Sha256;

/**
 * Keyed hashes of secrets: equal secrets give equal hashes in one cache directory, and nobody without the key file (mode
 * 0600) can test guesses against them. The key is made on first use in `state`.
 */
export async function openSecretHash(state: HostPath): Promise<SecretHash> {
  const key = await readKey(join(state, 'secret-key'));
  return (value) => sha256Digest(createHmac('sha256', key).update(value).digest('hex'));
}

async function readKey(path: string): Promise<Buffer> {
  const fresh = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    return await readFile(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
  await writeFile(fresh, randomBytes(32), { flag: 'wx', mode: 0o600 });
  try {
    // Of two first runs at once, one makes the key and both use it.
    await link(fresh, path);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  } finally {
    await rm(fresh, { force: true });
  }
  return readFile(path);
}
