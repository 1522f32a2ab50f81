import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const script = resolve(import.meta.dirname, '../../scripts/package.mjs');

/** Makes mkimg_VERSION_all.deb as `npm run package` does, of the program that is built. @returns its path */
export async function buildMkimgPackage(
  directory: string,
  version?: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const argv = [script, '--no-build', `--output=${directory}`, ...(version ? [`--version=${version}`] : [])];
  const { stdout } = await execute(process.execPath, argv, { env: { ...process.env, ...env } });
  return join(stdout.trim());
}
