import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const execute = promisify(execFile);
const repository = resolve(import.meta.dirname, '../..');

/** What package managers and kernel-install run as root. */
const scripts: readonly string[] = [
  ...['update-initramfs', 'postinst', 'postrm', 'kernel/postinst.d-mkimg', 'kernel/postrm.d-mkimg'].map(
    (name) => `packaging/debian/${name}`,
  ),
  'packaging/pacman/mkimg-kernels',
];

describe('shell scripts', () => {
  it('have nothing that shellcheck(1) warns of', async () => {
    const plugins = await readdir(join(repository, 'kernel-install.d'));
    const files = [...scripts, ...plugins.map((name) => `kernel-install.d/${name}`)];
    await expect(execute('shellcheck', files, { cwd: repository })).resolves.toMatchObject({ stdout: '' });
  });
});
