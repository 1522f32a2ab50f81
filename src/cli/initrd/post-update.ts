import { MkimgError } from '../../base/errors.ts';
import { isDirectory } from '../../base/files.ts';
import { runAttached } from '../../sandbox/process.ts';
import type { InitrdOrder } from './request.ts';

/** Where packages of boot loaders on Debian put programs that want to know of a new initrd. */
const directory = '/etc/initramfs/post-update.d';

/**
 * Runs these programs as update-initramfs(8) does: with the version of the kernel and the initrd as arguments.
 * @throws MkimgError `post-update-failed`
 */
export async function runPostUpdate({ request, output }: InitrdOrder): Promise<void> {
  if (!(await isDirectory(directory))) return;
  const argv = ['run-parts', `--arg=${request.kernelVersion}`, `--arg=${output}`, directory] as const;
  const exitCode = await runAttached({ argv, env: process.env });
  if (exitCode === 0) return;
  throw new MkimgError('post-update-failed', `A program in ${directory} failed (exit code ${exitCode})`, {
    hint: `The initrd is in its place, but a boot loader may not know of it. Try again: ${argv.join(' ')}`,
  });
}
