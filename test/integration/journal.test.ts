/** `mkimg journalctl` on images that do not run: the program itself only says what it is shown. */
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, readdir, symlink, truncate, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import type { CliOptions } from '../helpers/cli.ts';
import { mkimg, mkimgProgram } from '../helpers/cli.ts';
import { isRoot, ordinaryUserPrefix } from '../helpers/ordinary-user.ts';
import { project } from '../helpers/project.ts';

const sectors = { bytes: 512, root: 16_384 };
const rootType = '4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709';

let directory: TemporaryDirectory;
let path: string;

function run(program: string, argv: readonly string[], input = ''): void {
  const env = { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
  const { status, stderr } = spawnSync(program, argv, { input, env, encoding: 'utf8' });
  expect(status, stderr).toBe(0);
}

beforeAll(async () => {
  directory = await project({
    'disk/mkimg.conf': '[Output]\nFormat=disk\n',
    'empty/mkimg.conf': '[Output]\nFormat=disk\n',
    'tree/mkimg.conf': '[Output]\nFormat=directory\n',
    'tree/mkimg.output/image/var/log/journal/abc/system.journal': 'records\n',
    'bin/journalctl':
      '#!/bin/sh\necho "$@"\nfor a; do case $a in --directory=*) find "${a#--directory=}" -printf "%P %y\\n";; esac; done\nexit 3\n',
  });
  const tree = join(directory.path, 'tree/mkimg.output/image');
  await symlink('/etc/shadow', join(tree, 'var/log/journal/abc/evil.journal'));
  await mkdir(join(directory.path, 'none'));
  await disk('disk', tree);
  await disk('empty', join(directory.path, 'none'));
  path = `${directory.path}/bin:${process.env['PATH'] ?? ''}`;
});
afterAll(() => directory[Symbol.asyncDispose]());

/** A disk image with a root file system in its second partition. */
async function disk(name: string, tree: string): Promise<void> {
  const output = join(directory.path, name, 'mkimg.output');
  await mkdir(output);
  const image = join(output, 'image.raw');
  await writeFile(image, '');
  await truncate(image, 40 * 2 ** 20);
  const table = `label: gpt\nstart=2048,size=8192,type=uefi\nstart=${sectors.root},size=40960,type=${rootType}\n`;
  run('sfdisk', ['--quiet', image], table);
  const place = `offset=${sectors.root * sectors.bytes}`;
  run('mke2fs', ['-q', '-t', 'ext4', '-E', place, '-d', tree, image, '20M']);
  await chmod(image, 0o644);
}

async function journal(
  name: string,
  options: CliOptions = {},
  root: string = directory.path,
): Promise<string> {
  const env = { PATH: path };
  const argv = ['-C', join(root, name), 'journalctl', '--', '-n', '5'];
  const { code, stdout, stderr } = await mkimg(argv, { env, ...options });
  expect(code, stderr).toBe(3);
  return stdout;
}

async function leftovers(): Promise<readonly string[]> {
  return (await readdir('/var/tmp')).filter((name) => name.startsWith('mkimg-journal-'));
}

const copied = /^--directory=\S+\/journal -n 5\n(?:.*\n)*abc\/system\.journal f\n/;

describe('the journal of an image', () => {
  it('is copied out of ext4, and the copy is gone afterwards', async () => {
    const shown = await journal('disk');
    expect(shown).toMatch(copied);
    // What a guest left there stays a link: nothing is written through it.
    expect(shown).toContain('abc/evil.journal l\n');
    expect(await leftovers()).toEqual([]);
  });

  it.runIf(isRoot)('needs no root for that', async () => {
    const binds = { mkimg: resolve(import.meta.dirname, '../..') };
    const prefix = await ordinaryUserPrefix({ scratch: directory.path, hasSubordinateIds: false, binds });
    const program = join(directory.path, 'mkimg', mkimgProgram.slice(binds.mkimg.length));
    expect(await journal('disk', { prefix, program })).toMatch(copied);
    expect(await leftovers()).toEqual([]);
  });

  it('is read where it is in a tree', async () => {
    expect(await journal('tree')).toBe(`--root=${directory.path}/tree/mkimg.output/image -n 5\n`);
  });

  it('may not be there', async () => {
    const { code, stderr } = await mkimg(['-C', join(directory.path, 'empty'), 'journalctl'], {
      env: { PATH: path },
    });
    expect(code).toBe(1);
    expect(stderr).toContain('holds no journal');
    expect(await leftovers()).toEqual([]);
  });
});
