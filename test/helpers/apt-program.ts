/** What the apt tests run as another user: `apt-program.ts MODE DIRECTORY POOL`; prints one JSON value. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hostPath } from '../../src/base/brand.ts';
import { parseDpkgStatus } from '../../src/distro/dpkg-status.ts';
import { currentMode, enterNamespace } from '../../src/sandbox/namespace.ts';
import type { PrivilegeMode } from '../../src/sandbox/types.ts';
import { AptBench, debianSet } from './apt-bench.ts';

const [wanted = '', directory = '', pool = ''] = process.argv.slice(2);

async function install(mode: PrivilegeMode): Promise<unknown> {
  const bench = new AptBench(hostPath(directory), mode, hostPath(pool));
  const root = hostPath(join(directory, 'root'));
  await bench.install(await bench.resolve(await debianSet('trixie'), {}), root);
  const packages = parseDpkgStatus(await readFile(join(root, 'var/lib/dpkg/status'), 'utf8'));
  // unix_chkpwd belongs to the group shadow, mail to mail: ids that packages bring.
  const { uid, gid } = await stat(join(root, 'var/mail'));
  return { packages: packages.map(({ name, state }) => [name, state]), mail: [uid, gid] };
}

const mode = currentMode();
if (mode === undefined) {
  const chosen = wanted === 'subids' ? 'subids' : 'single-id';
  const main = process.argv[1] ?? '';
  process.exitCode = await enterNamespace({ mode: chosen, main, args: process.argv.slice(2) });
} else {
  process.stdout.write(JSON.stringify(await install(mode)));
}
