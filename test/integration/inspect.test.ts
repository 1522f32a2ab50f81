/** `mkimg inspect` on an initrd that another program packed, and on what is none. */
import { execFile } from 'node:child_process';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import type { Inspection } from '../../src/initrd/inspect.ts';
import { mkimg } from '../helpers/cli.ts';

const execute = promisify(execFile);

it('looks into an initrd that cpio and zstd made', async () => {
  await using scratch = await temporaryDirectory(tmpdir(), 'mkimg-inspect-');
  const tree = join(scratch.path, 'tree');
  await mkdir(join(tree, 'usr/bin'), { recursive: true });
  await cp('/bin/true', join(tree, 'usr/bin/true'));
  await writeFile(join(tree, 'init'), '#!/bin/sh\n');
  const initrd = join(scratch.path, 'initrd');
  const pack = `cd '${tree}' && find . | sort | cpio --quiet -o -H newc | zstd -q -c >'${initrd}'`;
  await execute('sh', ['-c', pack]);
  const { code, stdout, stderr } = await mkimg(['inspect', initrd, '--json']);
  expect(code, stderr).toBe(0);
  const { parts, files, packages } = JSON.parse(stdout) as Inspection;
  expect(parts.map(({ encoding }) => encoding)).toEqual(['zstd']);
  expect(files.map(({ path }) => path)).toEqual(['usr/bin/true', 'init']);
  expect(packages).toEqual([]);
  const text = await mkimg(['inspect', initrd]);
  expect(text.stdout).toContain('usr/bin/true');
});

it('says what is wrong with files that are no initrd', async () => {
  await using scratch = await temporaryDirectory(tmpdir(), 'mkimg-inspect-');
  const missing = await mkimg(['inspect', join(scratch.path, 'nothing')]);
  expect([missing.code, missing.stderr]).toEqual([2, expect.stringContaining('There is no file')]);
  const none = await mkimg(['inspect']);
  expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('mkimg inspect takes one file')]);
  const garbage = join(scratch.path, 'garbage');
  await writeFile(garbage, 'garbage');
  const told = await mkimg(['inspect', garbage]);
  expect([told.code, told.stdout]).toEqual([
    1,
    expect.stringContaining('neither a newc archive nor compressed data'),
  ]);
});
