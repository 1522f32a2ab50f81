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
  await writeFile(join(tree, 'init'), '#!/bin/sh\n', { mode: 0o755 });
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

it('takes several files for one initrd, as boot loaders join them', async () => {
  await using scratch = await temporaryDirectory(tmpdir(), 'mkimg-inspect-');
  const tree = join(scratch.path, 'tree');
  await mkdir(tree);
  await writeFile(join(tree, 'init'), '#!/bin/sh\n', { mode: 0o755 });
  const [packed, plain] = ['packed', 'plain'].map((name) => join(scratch.path, name));
  const list = `cd '${tree}' && find . | cpio --quiet -o -H newc`;
  await execute('sh', ['-c', `${list} | zstd -q -c >'${packed}'; ${list} >'${plain}'`]);
  // Nothing but zeros makes the second begin at a multiple of four.
  await execute('sh', [
    '-c',
    `cd '${scratch.path}'; cp packed by-hand; truncate -s %4 by-hand; cat plain >>by-hand`,
  ]);
  const read = async (...files: readonly (string | undefined)[]): Promise<Inspection> => {
    const { code, stdout, stderr } = await mkimg(['inspect', ...files.map(String), '--json']);
    expect(code, stderr).toBe(0);
    return JSON.parse(stdout) as Inspection;
  };
  const inspection = await read(packed, plain);
  expect(inspection.parts.map(({ encoding }) => encoding)).toEqual(['zstd', 'none']);
  expect(inspection).toEqual(await read(join(scratch.path, 'by-hand')));
  const { stdout } = await execute('sha256sum', [join(scratch.path, 'by-hand')]);
  expect(stdout).toContain(inspection.measurement);
});

it('says what is wrong with files that are no initrd', async () => {
  await using scratch = await temporaryDirectory(tmpdir(), 'mkimg-inspect-');
  const missing = await mkimg(['inspect', join(scratch.path, 'nothing')]);
  expect([missing.code, missing.stderr]).toEqual([2, expect.stringContaining('There is no file')]);
  const none = await mkimg(['inspect']);
  expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('mkimg inspect needs to know')]);
  const garbage = join(scratch.path, 'garbage');
  await writeFile(garbage, 'garbage');
  const told = await mkimg(['inspect', garbage]);
  expect([told.code, told.stdout]).toEqual([
    1,
    expect.stringContaining('neither a newc archive nor compressed data'),
  ]);
});
