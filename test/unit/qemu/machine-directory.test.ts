import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { currentOwner, formatOwner } from '../../../src/base/owner.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import { machineDirectory } from '../../../src/qemu/machine-directory.ts';

it("makes a machine's directory and removes those of killed runs", async () => {
  await using scratch = await temporaryDirectory(tmpdir(), 'mkimg-test-');
  const owner = currentOwner();
  // Process ids come back: the start time tells that this one is another process.
  const dead = `mkimg-vm-${formatOwner({ ...owner, start: '1' })}.aaaaaa`;
  const living = `mkimg-vm-${formatOwner(owner)}.bbbbbb`;
  for (const name of [dead, living, 'mkimg-vm-foreign', 'other']) await mkdir(join(scratch.path, name));
  await writeFile(join(scratch.path, dead, 'overlay'), 'x');
  {
    await using own = await machineDirectory(scratch.path);
    const name = own.path.slice(scratch.path.length + 1);
    expect(name.startsWith(`mkimg-vm-${formatOwner(owner)}.`)).toBe(true);
    expect((await readdir(scratch.path)).sort()).toEqual([living, name, 'mkimg-vm-foreign', 'other'].sort());
  }
  expect((await readdir(scratch.path)).sort()).toEqual([living, 'mkimg-vm-foreign', 'other'].sort());
});
