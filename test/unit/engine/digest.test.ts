import { chmod, mkdir, readFile, rename, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { HostPath } from '../../../src/base/brand.ts';
import { hostPath } from '../../../src/base/brand.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import { openHostDigests } from '../../../src/engine/digest.ts';
import { openSecretHash } from '../../../src/engine/secret.ts';

interface Sources extends AsyncDisposable {
  readonly root: HostPath;
  readonly cacheFile: HostPath;
  digest(exclude?: readonly string[]): Promise<string>;
}

async function sources(): Promise<Sources> {
  const directory = await temporaryDirectory(tmpdir(), 'mkimg-digest-');
  const root = hostPath(join(directory.path, 'tree'));
  const cacheFile = hostPath(join(directory.path, 'digests.json'));
  await mkdir(join(root, 'etc'), { recursive: true });
  await writeFile(join(root, 'etc/motd'), 'hello');
  await symlink('motd', join(root, 'etc/issue'));
  return {
    root,
    cacheFile,
    digest: async (exclude = []) => {
      const digests = await openHostDigests(cacheFile);
      const digest = await digests.digest({
        $host: root,
        exclude: exclude.map((path) => hostPath(join(root, path))),
      });
      await digests.save();
      return digest;
    },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}

const past = new Date(Date.now() - 60_000);

describe('host digests', () => {
  test.each([
    ['content', (root: string) => writeFile(join(root, 'etc/motd'), 'HELLO')],
    ['a permission', (root: string) => chmod(join(root, 'etc/motd'), 0o600)],
    ['a name', (root: string) => rename(join(root, 'etc/motd'), join(root, 'etc/motE'))],
    ['a new directory', (root: string) => mkdir(join(root, 'var'))],
    ['the permission of the top', (root: string) => chmod(root, 0o700)],
    [
      'a link',
      async (root: string) => {
        await rename(join(root, 'etc/issue'), join(root, 'etc/old'));
        await symlink('other', join(root, 'etc/issue'));
        await rename(join(root, 'etc/issue'), join(root, 'etc/old'));
      },
    ],
  ])('change with %s', async (_name, change) => {
    await using tree = await sources();
    const before = await tree.digest();
    await change(tree.root);
    expect(await tree.digest()).not.toBe(before);
  });

  test('do not change with times', async () => {
    await using tree = await sources();
    const before = await tree.digest();
    await utimes(join(tree.root, 'etc/motd'), past, past);
    await utimes(join(tree.root, 'etc'), past, past);
    expect(await tree.digest()).toBe(before);
  });

  test('leave excluded files out', async () => {
    await using tree = await sources();
    const before = await tree.digest(['build', 'image.raw']);
    await mkdir(join(tree.root, 'build'));
    await writeFile(join(tree.root, 'build/object'), 'x');
    await writeFile(join(tree.root, 'image.raw'), 'x');
    expect(await tree.digest(['build', 'image.raw'])).toBe(before);
    expect(await tree.digest(['build'])).not.toBe(before);
  });

  test('cope with names that are no UTF-8', async () => {
    await using tree = await sources();
    const name = (byte: number): Buffer => Buffer.concat([Buffer.from(`${tree.root}/`), Buffer.from([byte])]);
    await writeFile(name(0xff), 'x');
    const before = await tree.digest();
    await rename(name(0xff), name(0xfe));
    expect(await tree.digest()).not.toBe(before);
  });

  test('say which input is missing', async () => {
    await using tree = await sources();
    const digests = await openHostDigests(tree.cacheFile);
    const missing = hostPath(join(tree.root, 'nowhere'));
    await expect(digests.digest({ $host: missing })).rejects.toMatchObject({
      code: 'input-missing',
      class: 'usage',
    });
  });
});

describe('the cache of digests', () => {
  const cached = async (file: string): Promise<Record<string, { sha256: string }>> =>
    JSON.parse(await readFile(file, 'utf8')) as Record<string, { sha256: string }>;

  test('spares reading unchanged files', async () => {
    await using tree = await sources();
    const file = join(tree.root, 'etc/motd');
    await sleep(2100);
    const before = await tree.digest();
    const known = await cached(tree.cacheFile);
    expect(Object.keys(known)).toEqual([file]);
    // A forged digest shows that the file itself is not read again.
    const forged = { [file]: { ...known[file], sha256: '0'.repeat(64) } };
    await writeFile(tree.cacheFile, JSON.stringify(forged));
    expect(await tree.digest()).not.toBe(before);
    await chmod(file, 0o644);
    await writeFile(file, 'hello');
    expect(await tree.digest()).toBe(before);
  });

  test('does not trust files that were modified just now', async () => {
    await using tree = await sources();
    await tree.digest();
    await expect(readFile(tree.cacheFile)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('may be damaged', async () => {
    await using tree = await sources();
    const before = await tree.digest();
    await writeFile(tree.cacheFile, '{"/etc');
    expect(await tree.digest()).toBe(before);
  });
});

test('secrets are hashed with a key of the cache', async () => {
  await using one = await temporaryDirectory(tmpdir(), 'mkimg-secret-');
  await using two = await temporaryDirectory(tmpdir(), 'mkimg-secret-');
  const [hash, again, other] = await Promise.all(
    [one.path, one.path, two.path].map((path) => openSecretHash(path)),
  );
  expect(hash?.('hunter2')).toBe(again?.('hunter2'));
  expect(hash?.('hunter2')).not.toBe(hash?.('hunter3'));
  expect(hash?.('hunter2')).not.toBe(other?.('hunter2'));
});
