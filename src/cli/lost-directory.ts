import { isErrno } from '../base/errors.ts';

/*
 * Hooks are called by programs whose working directory may be gone. Relative paths then count from the root, as no answer to
 * them is right. This happens on import, before any other module: yargs asks for the working directory when it is loaded.
 */
try {
  process.cwd();
} catch (error) {
  if (!isErrno(error, 'ENOENT', 'EACCES')) throw error;
  process.chdir('/');
  process.stderr.write('warning: the working directory is not there any more; relative paths count from /\n');
}
