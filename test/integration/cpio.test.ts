import { execFileSync, spawnSync } from 'node:child_process';
import { lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { chmod, chown, link, lutimes, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import { silentEvents } from '../../src/base/events.ts';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import type { Compression } from '../../src/plan/vocabulary.ts';
import { createSandbox } from '../../src/sandbox/sandbox.ts';
import type { BuildContext } from '../../src/steps/implementation.ts';
import { packCpio } from '../../src/steps/pack-cpio.ts';

const isRoot = process.getuid?.() === 0;
const epoch = 1_700_000_000;
const oddName = Buffer.from([0x6f, 0x64, 0x64, 0x20, 0xff, 0xe9]);

let scratch: TemporaryDirectory;
let root: HostPath;
let count = 0;

async function contextFor(): Promise<BuildContext> {
  const work = hostPath(join(scratch.path, `work${count++}`));
  await mkdir(work);
  return {
    products: hostPath(join(work, 'products')),
    ...{ work, packagePool: work, metadataCache: work, jobs: 2, origin: undefined, events: silentEvents },
    sandbox: createSandbox({ mode: 'root', tools: { kind: 'host' }, events: silentEvents }),
    signal: new AbortController().signal,
    metadataPolicy: { refresh: 'never', maxAge: 0 },
    madeFrom: () => undefined,
    stateOf: () => Promise.resolve(undefined),
    progress: () => undefined,
    parts: { obtain: () => Promise.reject(new Error('packing makes no parts')) },
    lock: () => Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() }),
  };
}

async function packed(compression: Compression): Promise<HostPath> {
  const target = hostPath(join(scratch.path, `archive${count++}`));
  await packCpio.run({ tree: { root }, compression, epoch }, target, await contextFor());
  return target;
}

/** A tree with everything that an archive can hold. */
async function makeTree(): Promise<void> {
  await mkdir(join(root, 'dev'), { recursive: true });
  await mkdir(join(root, 'usr/bin'), { recursive: true });
  await chmod(join(root, 'usr/bin'), 0o2750);
  await writeFile(join(root, 'usr/bin/su'), 'program');
  await chown(join(root, 'usr/bin/su'), 1234, 5678);
  await chmod(join(root, 'usr/bin/su'), 0o4755);
  await writeFile(join(root, 'usr/empty'), '');
  await writeFile(join(root, 'usr/large'), Buffer.alloc(2_500_001, 'x'));
  await writeFile(join(root, 'usr/z1'), 'linked');
  await link(join(root, 'usr/z1'), join(root, 'usr/bin/z2'));
  await link(join(root, 'usr/z1'), join(root, 'z0'));
  await link(join(root, 'usr/empty'), join(root, 'usr/empty2'));
  await symlink('usr/bin', join(root, 'bin'));
  await lutimes(join(root, 'bin'), 1, 1);
  await writeFile(Buffer.concat([Buffer.from(`${root}/`), oddName]), 'odd');
  execFileSync('mknod', ['-m', '600', join(root, 'dev/console'), 'c', '5', '1']);
  execFileSync('mknod', [join(root, 'dev/disk'), 'b', '259', '70000']);
  execFileSync('mkfifo', [join(root, 'dev/fifo')]);
}

beforeAll(async () => {
  scratch = await temporaryDirectory('/var/tmp', 'mkimg-cpio-');
  root = hostPath(join(scratch.path, 'root'));
});
afterAll(() => scratch[Symbol.asyncDispose]());

describe.skipIf(!isRoot)('archives (needs root)', () => {
  beforeAll(makeTree);

  it('are what cpio lists and extracts', async () => {
    const archive = readFileSync(await packed({ algorithm: 'none' }));
    const listed = execFileSync('cpio', ['--quiet', '-t', '--null'], { input: archive, encoding: 'latin1' });

    expect(listed.split('\0').slice(0, -1)).toEqual([...namesBelow(root)].sort());

    const extracted = hostPath(join(scratch.path, 'extracted'));
    await mkdir(extracted);
    const run = spawnSync('cpio', ['--quiet', '-i', '-d', '-m'], {
      input: archive,
      cwd: extracted,
      encoding: 'utf8',
    });
    expect([run.status, run.stderr]).toEqual([0, '']);
    expect(description(extracted)).toEqual(description(root));
  });

  it.each([
    ['zstd', 3, 'zstd'],
    ['xz', 1, 'xz'],
    ['gz', 6, 'gzip'],
  ] as const)('are the same behind %s', async (algorithm, level, program) => {
    const plain = readFileSync(await packed({ algorithm: 'none' }));
    const unpacked = execFileSync(program, ['-d', '-c'], {
      input: readFileSync(await packed({ algorithm, level })),
      maxBuffer: 1 << 26,
    });
    expect(unpacked.equals(plain)).toBe(true);
    const again = readFileSync(await packed({ algorithm, level }));
    expect(again.equals(readFileSync(await packed({ algorithm, level })))).toBe(true);
  });
});

/** Byte for byte, as latin1: names need not be UTF-8. */
function namesBelow(directory: string): readonly string[] {
  const argv = [directory, '-mindepth', '1', '-printf', '%P\\0'];
  return execFileSync('find', argv, { encoding: 'latin1' }).split('\0').slice(0, -1);
}

/** All that an archive keeps of a tree; groups of links by their names. */
function description(directory: string): readonly unknown[] {
  const inodes = new Map<number, string[]>();
  const entries = namesBelow(directory).map((text) => {
    const path = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(text, 'latin1')]);
    const stats = lstatSync(path);
    if (!stats.isDirectory()) inodes.set(stats.ino, [...(inodes.get(stats.ino) ?? []), text].sort());
    const content = stats.isFile() ? readFileSync(path).toString('latin1') : undefined;
    const pointsTo = stats.isSymbolicLink() ? readlinkSync(path) : undefined;
    const { mode, uid, gid, rdev, ino } = stats;
    return { text, mode, uid, gid, rdev: stats.isDirectory() ? 0 : rdev, content, pointsTo, ino };
  });
  return entries
    .map(({ ino, ...entry }) => ({ ...entry, links: inodes.get(ino) }))
    .sort((left, right) => (left.text < right.text ? -1 : 1));
}
