import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { link, lutimes, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPath } from '../../../src/base/brand.ts';
import { hostPath } from '../../../src/base/brand.ts';
import { sha256 } from '../../../src/base/canonical.ts';
import type { TemporaryDirectory } from '../../../src/base/temporary.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import { bufferSource } from '../../../src/formats/bytes.ts';
import { memberData, readNewc } from '../../../src/formats/newc-reader.ts';
import { divideArchive, writeDigested } from '../../../src/initrd/split.ts';
import { archiveEntries } from '../../../src/steps/walk.ts';

let scratch: TemporaryDirectory;
beforeEach(async () => {
  scratch = await temporaryDirectory('/tmp', 'test-split-');
});
afterEach(() => scratch[Symbol.asyncDispose]());

const place = (name: string): HostPath => hostPath(join(scratch.path, name));

/** An archive of files by path; `=path` is another name of a file, `->target` a symbolic link, undefined a directory. */
async function archiveOf(files: Readonly<Record<string, string | undefined>>): Promise<HostPath> {
  const root = place('tree');
  await mkdir(root);
  for (const [path, content] of Object.entries(files)) {
    const file = join(root, path);
    if (content === undefined) await mkdir(file);
    else if (content.startsWith('=')) await link(join(root, content.slice(1)), file);
    else if (content.startsWith('->')) await symlink(content.slice(2), file);
    else await writeFile(file, content);
  }
  // Entries hold times, and two trees are seldom made within one second.
  for (const path of Object.keys(files).reverse()) await lutimes(join(root, path), 0, 0);
  const { signal } = new AbortController();
  await writeDigested(await archiveEntries(root, { signal, onSkip: () => undefined }), place('whole'));
  return place('whole');
}

/** What is in an archive: content by path, `/` for directories. */
function contentOf(archive: HostPath): Readonly<Record<string, string>> {
  const source = bufferSource(readFileSync(archive));
  return Object.fromEntries(
    [...readNewc(source)].map((member) => [
      member.path.toString(),
      (member.mode & 0o170000) === 0o040000 ? '/' : memberData(source, member).toString(),
    ]),
  );
}

describe('divideArchive', () => {
  it('puts each thing into one of several archives, and directories wherever something is in them', async () => {
    const whole = await archiveOf({
      ...{ usr: undefined, 'usr/bin': undefined, 'usr/bin/of-base': 'one', 'usr/bin/of-profile': 'three' },
      ...{ 'usr/share': undefined, etc: undefined, 'etc/passwd': 'root', bin: '->usr/bin' },
    });
    const names = ['usr', 'usr/bin', 'usr/bin/of-base', 'usr/share', 'bin'];
    const [first = [], second = []] = divideArchive(whole, 2, (path) => (names.includes(path) ? 0 : 1));
    await writeDigested(first, place('first'));
    await writeDigested(second, place('second'));
    const directories = { usr: '/', 'usr/bin': '/' };
    expect(contentOf(place('first'))).toEqual({
      ...{ ...directories, bin: 'usr/bin', 'usr/bin/of-base': 'one', 'usr/share': '/' },
    });
    expect(contentOf(place('second'))).toEqual({
      ...{ ...directories, 'usr/bin/of-profile': 'three', etc: '/', 'etc/passwd': 'root' },
    });
  });

  it('gives the same first archive whatever is in the second', async () => {
    const common = { usr: undefined, 'usr/a': 'a', 'usr/b': '=usr/a' };
    const digests: string[] = [];
    for (const further of [{}, { 'usr/0': 'x', 'usr/1': '=usr/0', 'usr/z': 'z' }]) {
      const archive = await archiveOf({ ...common, ...further });
      const [first = []] = divideArchive(archive, 2, (path) => (path in common ? 0 : 1));
      digests.push(await writeDigested(first, place('first')));
      expect(digests.at(-1)).toBe(sha256(readFileSync(place('first'))));
      spawnSync('rm', ['-r', ...['tree', 'whole', 'first'].map(place)]);
    }
    expect(digests[1]).toBe(digests[0]);
  });

  it('keeps the names of a file together, and its content where they are divided', async () => {
    const whole = await archiveOf({ a: 'shared', b: '=a', c: '=a', d: '=a' });
    const [first = [], second = []] = divideArchive(whole, 2, (path) => (path === 'd' ? 1 : 0));
    await writeDigested(first, place('first'));
    await writeDigested(second, place('second'));
    expect(contentOf(place('first'))).toEqual({ a: '', b: '', c: 'shared' });
    expect(contentOf(place('second'))).toEqual({ d: 'shared' });
    const unpacked = place('unpacked');
    await mkdir(unpacked);
    const { status, stderr } = spawnSync('cpio', ['-i', '--quiet'], {
      ...{ cwd: unpacked, input: readFileSync(place('first')), encoding: 'utf8' },
    });
    expect([status, stderr]).toEqual([0, '']);
    expect(readFileSync(join(unpacked, 'a'), 'utf8')).toBe('shared');
  });
});
