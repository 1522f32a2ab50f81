import { execFile } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import { cacheDirectory } from '../../src/engine/layout.ts';
import { parseResolvedPackages } from '../../src/distro/resolved.ts';
import { fetchPackages, poolPath } from '../../src/steps/apt/fetch.ts';
import { AptBench, buildRepository, debianSet } from './apt-bench.ts';
import { mkimg } from './cli.ts';

const execute = promisify(execFile);

/** Builds a Debian system with these packages into a directory; takes from the cache what is there. @returns its root */
export async function buildDebian(directory: string, packages: readonly string[]): Promise<string> {
  const { code, stderr } = await mkimg([
    ...['-C', directory, '--distribution=debian', '--release=trixie', '--format=directory', '--bootable=no'],
    ...packages.map((name) => `--package=${name}`),
    ...['--output=system', `--output-directory=${directory}`, 'build'],
  ]);
  if (code !== 0) throw new Error(`the system could not be built:\n${stderr}`);
  return join(directory, 'system');
}

/** A repository on disk of packages with all that they need, but for what a system has already. */
export async function mirrorPackages(
  target: string,
  names: readonly string[],
  {
    system,
    scratch,
    more,
  }: { readonly system: string; readonly scratch: string; readonly more: readonly HostPath[] },
): Promise<void> {
  const pool = hostPath(
    join(cacheDirectory({ setting: undefined, environment: process.env, uid: 0 }), 'packages'),
  );
  const bench = new AptBench(hostPath(join(scratch, 'bench')), 'root', pool);
  const installed = await readFile(join(system, 'var/lib/dpkg/status'), 'utf8');
  const files = new Set<HostPath>();
  // One after the other: they may exclude each other.
  for (const name of names) {
    const resolved = await bench.resolve(await debianSet('trixie'), { names: [name] });
    const { packages } = parseResolvedPackages(await readFile(resolved, 'utf8'));
    const missing = packages.filter((entry) => !installed.includes(`Package: ${entry.name}\n`));
    await fetchPackages(missing, await bench.context());
    for (const entry of missing) files.add(poolPath(pool, entry));
  }
  await mkdir(target, { recursive: true });
  await buildRepository(target, [...files, ...more], {});
}

export interface ScriptRun {
  readonly code: number;
  /** What it wrote to standard output and standard error. */
  readonly output: string;
}

/** A Debian system in a directory, used as one would use a mounted disk: entered by chroot(8), without network. */
export class DebianSystem {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  /** A copy of it in another directory. */
  async copy(root: string): Promise<DebianSystem> {
    await execute('cp', ['-a', this.root, root]);
    return new DebianSystem(root);
  }

  /** Runs a script there (POSIX sh, -u). */
  async run(script: string): Promise<ScriptRun> {
    const argv = [
      '--mount',
      '--pid',
      '--net',
      '--fork',
      '--kill-child',
      'sh',
      '-euc',
      entering,
      'sh',
      this.root,
      script,
    ];
    try {
      const { stdout } = await execute('unshare', argv, { maxBuffer: 64 * 2 ** 20 });
      return { code: 0, output: stdout };
    } catch (error) {
      const { code, stdout } = error as { readonly code?: number; readonly stdout?: string };
      if (typeof code !== 'number') throw error;
      return { code, output: stdout ?? '' };
    }
  }

  /** The same, for scripts that have to end well. @returns what it wrote */
  async succeed(script: string): Promise<string> {
    const { code, output } = await this.run(script);
    if (code !== 0) throw new Error(`exit code ${code} of\n${script}\n${output}`);
    return output;
  }

  /** Path of a file of it. */
  path(name: string): string {
    return join(this.root, name);
  }
}

/** The directory becomes a mount point, as a disk's would be: programs in it may want mount namespaces of their own. */
const entering = `root=$1
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"; mount --rbind /sys "$root/sys"; mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"; mount -t tmpfs tmpfs "$root/tmp"
exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive sh -uc "$2" 2>&1`;
