/** One system's initrd, made by whom and where does not matter. */
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/base/canonical.ts';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { bufferSource } from '../../src/formats/bytes.ts';
import { readArchives } from '../../src/formats/newc-reader.ts';
import { mkimg } from '../helpers/cli.ts';
import type { System } from '../helpers/kernel-install.ts';
import { buildSystem } from '../helpers/kernel-install.ts';
import { isRoot, ordinaryUserPrefix } from '../helpers/ordinary-user.ts';
import { buildTools } from '../helpers/tools.ts';

let scratch: TemporaryDirectory;
let system: System;
let tools: string;

beforeAll(async () => {
  scratch = await temporaryDirectory('/var/tmp', 'test-identical-');
  await chmod(scratch.path, 0o755);
  const made = await buildTools();
  if (made.kind !== 'tree') throw new Error('no tools tree');
  tools = made.path;
  system = await buildSystem(scratch.path);
});
afterAll(() => scratch[Symbol.asyncDispose]());

interface Maker {
  /** Of the directory that everything is in. */
  readonly name: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly hasSubordinateIds?: boolean;
}

/** Makes the initrd with empty caches, as root, or as an ordinary user who has only just come. */
async function made({ name, environment, hasSubordinateIds }: Maker): Promise<Buffer> {
  const directory = join(scratch.path, name);
  await mkdir(directory);
  const { root, kernelVersion } = system;
  const output = join(directory, 'initrd');
  const argv = [
    ...['initrd', '--generic', `--root=${root}`, `--kernel-version=${kernelVersion}`, `--output=${output}`],
    ...['--profile=network', `--cache-directory=${join(directory, 'cache')}`],
  ];
  if (hasSubordinateIds === undefined) {
    const { code, stderr } = await mkimg([...argv, `--tools-tree=${tools}`], { env: environment });
    expect(code, stderr).toBe(0);
    return readFile(output);
  }
  const binds = { mkimg: resolve(import.meta.dirname, '../..'), tools };
  const prefix = await ordinaryUserPrefix({ scratch: scratch.path, hasSubordinateIds, binds });
  spawnSync('chown', ['--reference', join(scratch.path, 'home'), directory]);
  const variables = Object.entries(environment).map(([variable, value]) => `${variable}=${value}`);
  const { code, stderr } = await mkimg([...argv, `--tools-tree=${join(scratch.path, 'tools')}`], {
    prefix: [...prefix, 'env', ...variables],
    program: join(scratch.path, 'mkimg/dist/cli/main.js'),
  });
  expect(code, stderr).toBe(0);
  return readFile(output);
}

describe.skipIf(!isRoot)('an initrd (needs root to become others)', () => {
  let first: Buffer;
  beforeAll(async () => {
    first = await made({ name: 'root', environment: { TZ: 'UTC' } });
  });

  it.each([
    { name: 'another', environment: { TZ: 'Asia/Tokyo', LC_ALL: 'C' } },
    { name: 'user', environment: { TZ: 'America/Lima', LANG: 'POSIX' }, hasSubordinateIds: true },
    { name: 'user-of-one-id', environment: { TZ: 'Asia/Kathmandu' }, hasSubordinateIds: false },
  ])('has the same bytes in the directory of $name, with $environment', async (maker) => {
    expect(sha256(await made(maker))).toBe(sha256(first));
  });

  it('belongs to root, without set-id bits', () => {
    const archive = spawnSync('zstd', ['-dcq'], { input: first, maxBuffer: 1 << 30 });
    const members = [...readArchives(bufferSource(archive.stdout))];
    expect(members.length).toBeGreaterThan(1000);
    expect(members.filter(({ mode, uid, gid }) => uid + gid > 0 || (mode & 0o6000) !== 0)).toEqual([]);
  });
});
