import { execFile } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import { debianSet } from './apt-bench.ts';

const execute = promisify(execFile);

/** Packages of one release and architecture of Debian, whatever this machine is; nothing of them is run. */
export interface ForeignPackages {
  /** The first name, in the order of bytes, that begins so and matches. @throws Error when there is none */
  find(prefix: string, pattern: RegExp): Promise<string>;
  /** Downloads packages and unpacks them into one directory. */
  unpack(names: readonly string[]): Promise<HostPath>;
}

/** Reads the indexes of a release for an architecture (Debian's name) into a directory. */
export async function foreignPackages(
  directory: HostPath,
  { release, architecture }: { readonly release: string; readonly architecture: string },
): Promise<ForeignPackages> {
  const apt = async (program: string, ...argv: readonly string[]): Promise<string> => {
    const env = { ...process.env, APT_CONFIG: join(directory, 'apt.conf') };
    return (await execute(program, argv, { env, cwd: directory, maxBuffer: 1 << 26 })).stdout;
  };
  await mkdir(join(directory, 'lists/partial'), { recursive: true });
  await mkdir(join(directory, 'etc'), { recursive: true });
  const [repository] = (await debianSet(release)).repositories;
  const [uri] = repository?.uris ?? [];
  const options = `signed-by=${repository?.signedBy?.$host} arch=${architecture} check-valid-until=no`;
  await writeFile(join(directory, 'etc/sources.list'), `deb [${options}] ${uri} ${release} main\n`);
  await writeFile(join(directory, 'status'), '');
  await writeFile(
    join(directory, 'apt.conf'),
    [
      `APT::Architecture "${architecture}";`,
      `APT::Architectures "${architecture}";`,
      'APT::Sandbox::User "";',
      'Acquire::Languages "none";',
      `Dir::State "${directory}";`,
      `Dir::State::status "${directory}/status";`,
      `Dir::Cache "${directory}/cache";`,
      `Dir::Etc "${directory}/etc";`,
      `Dir::Etc::parts "-";`,
      `Dir::Etc::sourceparts "-";`,
    ].join('\n'),
  );
  await apt('apt-get', 'update', '-q');
  return {
    find: async (prefix, pattern) => {
      const names = (await apt('apt-cache', 'pkgnames', prefix)).split('\n').sort();
      const found = names.find((name) => name.startsWith(prefix) && pattern.test(name));
      if (found === undefined) throw new Error(`no package ${prefix}* for ${architecture}`);
      return found;
    },
    unpack: async (names) => {
      await apt('apt-get', 'download', '-q', ...names);
      const root = hostPath(join(directory, 'root'));
      for (const file of (await readdir(directory)).filter((name) => name.endsWith('.deb'))) {
        await execute('dpkg-deb', ['-x', join(directory, file), root]);
      }
      return root;
    },
  };
}
