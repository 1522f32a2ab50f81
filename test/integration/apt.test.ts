import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import { parseDpkgStatus } from '../../src/distro/dpkg-status.ts';
import type { ResolvedPackage } from '../../src/distro/resolved.ts';
import { formatResolvedPackages, parseResolvedPackages } from '../../src/distro/resolved.ts';
import type { RepositorySet } from '../../src/distro/repositories.ts';
import { cleanPackageMetadata } from '../../src/steps/clean-package-metadata.ts';
import { manifest } from '../../src/steps/manifest.ts';
import { nativeArchitecture } from '../../src/distro/architectures/index.ts';
import { removePackages } from '../../src/steps/remove-packages.ts';
import { resolvePackages } from '../../src/steps/resolve-packages.ts';
import { AptBench, buildPackage, buildRepository, debianSet, failureOf } from '../helpers/apt-bench.ts';
import { isRoot, ordinaryUserPrefix } from '../helpers/ordinary-user.ts';
import { transpileInto } from '../helpers/transpiled.ts';

const execute = promisify(execFile);
const repository = resolve(import.meta.dirname, '../..');
const tiny = { Package: 'tiny', Essential: 'yes' };

let scratch: HostPath;
let bench: AptBench;
let trixie: RepositorySet;

beforeAll(async () => {
  scratch = hostPath(await mkdtemp('/var/tmp/mkimg-apt-'));
  await chmod(scratch, 0o755);
  bench = new AptBench(scratch, 'root');
  trixie = await debianSet('trixie');
});
afterAll(async () => {
  await rm(scratch, { recursive: true, force: true });
});

async function place(name: string): Promise<HostPath> {
  const path = join(scratch, name);
  await mkdir(path, { recursive: true });
  return hostPath(path);
}
async function packagesOf(document: HostPath): Promise<readonly ResolvedPackage[]> {
  return parseResolvedPackages(await readFile(document, 'utf8')).packages;
}
async function installedIn(root: HostPath) {
  return parseDpkgStatus(await readFile(join(root, 'var/lib/dpkg/status'), 'utf8'));
}
const names = (packages: readonly { readonly name: string }[]): string[] => packages.map(({ name }) => name);

describe('resolving', () => {
  it('gives the same document twice, and a state for the key in between', async () => {
    const inputs = {
      repositories: trixie,
      request: { names: ['hello'], recommends: false, packageDirectories: [] },
      architecture: 'x86-64',
    } as const;
    const context = await bench.context();
    const first = await bench.resolve(trixie, { names: ['hello'] });
    const state = await resolvePackages.state?.(inputs, context);
    expect(state).toMatch(/^[0-9a-f]{64}$/);
    const second = await bench.resolve(trixie, { names: ['hello'] });
    expect(await readFile(second, 'utf8')).toBe(await readFile(first, 'utf8'));
    expect(await resolvePackages.state?.(inputs, context)).toBe(state);
    const outdated = { ...context, metadataPolicy: { refresh: 'aged', maxAge: 0 } } as const;
    expect(await resolvePackages.state?.(inputs, outdated)).toBeUndefined();
    const packages = await packagesOf(first);
    expect(packages.find(({ name }) => name === 'hello')).toMatchObject({ base: false, essential: false });
    expect(packages.find(({ name }) => name === 'bash')).toMatchObject({ base: true, essential: true });
  });

  it('takes versions and suites as apt does', async () => {
    const pinned = await bench.resolve(trixie, { names: ['hello/trixie'] });
    const version = (await packagesOf(pinned)).find(({ name }) => name === 'hello')?.version ?? '';
    const exact = await bench.resolve(trixie, { names: [`hello=${version}`] });
    expect(await readFile(exact, 'utf8')).toBe(await readFile(pinned, 'utf8'));
  });

  it('names all packages that do not exist, with the nearest names', async () => {
    const error = await failureOf(
      bench.resolve(trixie, { names: ['systemdd', 'hello', 'no-such-thing-at-all=1'] }),
    );
    expect(error.code).toBe('package-not-found');
    expect(error.message).toMatch(/systemdd \(.*did you mean systemd\?\)/);
    expect(error.items).toEqual(['systemdd', 'no-such-thing-at-all=1']);
  });

  it('explains packages that exclude one another', async () => {
    const error = await failureOf(bench.resolve(trixie, { names: ['exim4-daemon-light', 'postfix'] }));
    expect(error.code).toBe('package-conflict');
    expect(error.tail.join('\n')).toMatch(/Conflicts: mail-transport-agent/);
  });

  it('refuses repositories that are signed with another key', async () => {
    const other = { $host: hostPath('/usr/share/keyrings/debian-archive-removed-keys.gpg') };
    const set = {
      ...trixie,
      repositories: trixie.repositories.map((entry) => ({ ...entry, signedBy: other })),
    };
    const error = await failureOf(bench.resolve(set, {}));
    expect(error.code).toBe('bad-signature');
    expect(error.message).toContain('trixie');
  });

  it('names a keyring that is not there', async () => {
    const signedBy = { $host: hostPath('/nonexistent/keyring.gpg') };
    const set = { ...trixie, repositories: trixie.repositories.map((entry) => ({ ...entry, signedBy })) };
    const error = await failureOf(bench.resolve(set, {}));
    expect(error.code).toBe('keyring-missing');
    expect(error.message).toContain('/nonexistent/keyring.gpg');
  });

  it('names a mirror that cannot be reached, and keeps what it had', async () => {
    const set = {
      ...trixie,
      repositories: [
        { uris: ['http://127.0.0.1:9/debian'], suites: ['trixie'], components: ['main'], trusted: true },
      ],
    };
    const error = await failureOf(bench.resolve(set, {}));
    expect(error.code).toBe('mirror-unreachable');
    expect(error.message).toContain('http://127.0.0.1:9/debian/dists/trixie');
    const offline = await failureOf(
      bench.resolve(set, {}, { metadataPolicy: { refresh: 'never', maxAge: 0 } }),
    );
    expect(offline.code).toBe('metadata-missing');
  });

  it('says when the mirror has no such suite', async () => {
    const [archive] = trixie.repositories;
    if (archive === undefined) throw new Error('no archive');
    const set = { ...trixie, repositories: [{ ...archive, suites: ['no-such-suite'] }] };
    const error = await failureOf(bench.resolve(set, {}));
    expect(error.code).toBe('suite-not-found');
    expect(error.message).toContain('no-such-suite');
  });
});

describe('a repository on disk', () => {
  it('is refused past its Valid-Until, by file and date, unless told otherwise', async () => {
    const deb = await buildPackage(await place('expired-source'), tiny);
    const set = await buildRepository(await place('expired'), [deb], {
      Date: 'Fri, 30 Oct 2020 08:08:01 UTC',
      'Valid-Until': 'Fri, 06 Nov 2020 08:08:01 UTC',
    });
    const error = await failureOf(bench.resolve(set, {}));
    expect(error.code).toBe('metadata-expired');
    expect(error.message).toContain('expired/dists/test/Release');
    expect(error.message).toContain('2020-11-06 08:08 UTC');
    expect(error.hint).toContain('--check-valid-until=no');
    const accepted = await bench.resolve({ ...set, checkValidUntil: false }, {});
    expect(names(await packagesOf(accepted))).toEqual(['tiny']);
    expect((await failureOf(bench.resolve(set, {}))).code).toBe('metadata-expired');
  });

  it('stays usable when an update fails', async () => {
    const deb = await buildPackage(await place('broken-source'), tiny);
    const directory = await place('broken');
    const set = await buildRepository(directory, [deb], {});
    await bench.resolve(set, {});
    await rm(join(directory, 'dists'), { recursive: true });
    const old = { metadataPolicy: { refresh: 'aged', maxAge: 0 } } as const;
    expect((await failureOf(bench.resolve(set, {}, old))).code).toMatch(/suite-not-found|mirror-unreachable/);
    const offline = { metadataPolicy: { refresh: 'never', maxAge: 0 } } as const;
    expect(names(await packagesOf(await bench.resolve(set, {}, offline)))).toEqual(['tiny']);
  });

  it('gives way to local package files, by directory and by name', async () => {
    const source = await place('local-source');
    const first = await buildPackage(source, { ...tiny, Version: '2' });
    const set = await buildRepository(await place('local'), [first], {});
    const directory = await place('local-packages');
    await buildPackage(directory, { ...tiny, Version: '1' });
    const named = await buildPackage(await place('named'), { Package: 'named', Depends: 'tiny (= 1)' });
    const packages = await packagesOf(await bench.resolve(set, { names: [named], directories: [directory] }));
    expect(packages.map(({ name, version }) => `${name} ${version}`)).toEqual(['named 1', 'tiny 1']);
    expect(packages[0]?.urls).toEqual([`file:${named}`]);
    const missing = await failureOf(bench.resolve(set, { names: ['/nonexistent/x.deb'] }));
    expect(missing.code).toBe('package-file-missing');
  });

  it("uses the user's own sources and preferences instead", async () => {
    const [one, two] = [
      await buildPackage(await place('user-one'), { ...tiny, Version: '1' }),
      await buildPackage(await place('user-two'), { ...tiny, Version: '2' }),
    ];
    const set = await buildRepository(await place('user-repository'), [one, two], {});
    const tree = await place('sandbox-tree');
    await mkdir(join(tree, 'etc/apt/preferences.d'), { recursive: true });
    await writeFile(
      join(tree, 'etc/apt/preferences.d/old'),
      'Package: tiny\nPin: version 1\nPin-Priority: 1001\n',
    );
    const pinned = await packagesOf(await bench.resolve({ ...set, sandboxTrees: [{ $host: tree }] }, {}));
    expect(pinned[0]?.version).toBe('1');
    await mkdir(join(tree, 'etc/apt/sources.list.d'), { recursive: true });
    await writeFile(
      join(tree, 'etc/apt/sources.list.d/mkosi.sources'),
      'Types: deb\nURIs: http://127.0.0.1:9/own\nSuites: s\nComponents: main\n',
    );
    const error = await failureOf(bench.resolve({ ...set, sandboxTrees: [{ $host: tree }] }, {}));
    expect(error.message).toContain('http://127.0.0.1:9/own');
  });
});

describe.skipIf(!isRoot)('installing (needs root)', () => {
  let base: HostPath;
  let root: HostPath;

  it('needs essential packages to begin with', async () => {
    const plain = await buildPackage(await place('plain-source'), { Package: 'plain' });
    const set = await buildRepository(await place('plain'), [plain], {});
    const error = await failureOf(bench.resolve(set, { names: ['plain'] }));
    expect(error.message).toContain('no essential packages');
  });

  it('makes a system of the essential packages that dpkg finds whole', async () => {
    base = await bench.resolve(trixie, {});
    root = await place('root');
    const begin = Date.now();
    await bench.install(base, root, false);
    const wanted = await packagesOf(base);
    expect(wanted.length).toBeGreaterThan(40);
    const installed = await installedIn(root);
    expect(names(installed).sort()).toEqual(names(wanted).sort());
    expect(installed.every(({ state }) => state === 'installed')).toBe(true);
    expect((await execute('chroot', [root, 'dpkg', '--audit'])).stdout).toBe('');
    expect((await execute('chroot', [root, 'sh', '-c', 'echo $((6 * 7))'])).stdout).toBe('42\n');
    expect(await readdir(join(root, 'dev'))).toEqual([]);
    expect(existsSync(join(root, 'usr/sbin/policy-rc.d'))).toBe(false);
    expect((await stat(join(root, 'tmp'))).mode & 0o7777).toBe(0o1777);
    const documentation = await readdir(join(root, 'usr/share/doc'), {
      recursive: true,
      withFileTypes: true,
    });
    const files = documentation.filter((entry) => entry.isFile()).map((entry) => entry.name);
    expect(new Set(files)).toEqual(new Set(['copyright']));
    // Packages are extracted side by side, and their directories' times would depend on who was last.
    const older = ['-type', 'd', '!', '-newermt', `@${Math.floor(begin / 1000) - 1}`];
    const places = ['usr/lib', 'usr/share/locale'].map((path) => join(root, path));
    expect((await execute('find', [...places, ...older])).stdout).toBe('');
    const leftovers = await execute('find', [root, '-name', '*.dpkg-new', '-o', '-name', '*.dpkg-tmp']);
    expect(leftovers.stdout).toBe('');
  });

  it('adds only what is missing to an installed system', async () => {
    const more = await bench.resolve(trixie, { names: ['hello'], installed: base });
    const before = await stat(join(root, 'usr/bin/bash'));
    await bench.install(more, root);
    expect(names(await installedIn(root)).sort()).toEqual(names(await packagesOf(more)).sort());
    expect((await execute('chroot', [root, 'hello'])).stdout).toContain('Hello');
    expect((await stat(join(root, 'usr/bin/bash'))).ino).toBe(before.ino);
  });

  it('lists, removes and forgets packages', async () => {
    const context = await bench.context();
    const target = hostPath(join(context.work, 'manifest'));
    await manifest.run({ tree: { root }, image: { name: 'test' } }, target, context);
    const listed = JSON.parse(await readFile(target, 'utf8')) as {
      packages: { name: string; size: number }[];
    };
    expect(names(listed.packages)).toContain('hello');
    expect(listed.packages.every(({ size }) => size > 0)).toBe(true);

    const remove = async (...wanted: string[]): Promise<void> =>
      removePackages.run(
        { base: { root }, names: wanted, architecture: nativeArchitecture() },
        root,
        await bench.context(),
      );
    expect((await failureOf(remove('hello', 'not-there'))).items).toEqual(['not-there']);
    const needed = await failureOf(remove('libc6'));
    expect(needed.code).toBe('package-needed');
    expect(needed.message).toContain('depends on libc6');
    await remove('hell*');
    expect(names(await installedIn(root))).not.toContain('hello');
    expect(existsSync(join(root, 'usr/bin/hello'))).toBe(false);

    await cleanPackageMetadata.run({ base: { root } }, root, await bench.context());
    expect(existsSync(join(root, 'var/lib/dpkg'))).toBe(false);
    expect(existsSync(join(root, 'usr/bin/dpkg'))).toBe(true);
  });

  it('names the package whose maintainer script fails, with what it wrote', async () => {
    const directory = await place('failing');
    const failing = await buildPackage(
      directory,
      { Package: 'failing' },
      { 'DEBIAN/postinst': '#!/bin/sh\necho the reason is here\nexit 7\n' },
    );
    const document = await bench.resolve(trixie, { names: [failing] });
    const error = await failureOf(bench.install(document, await place('failing-root')));
    expect(error.code).toBe('package-failed');
    expect(error.message).toContain('package failing failed');
    expect(error.message).toContain('exit status 7');
    expect(error.tail.join('\n')).toContain('the reason is here');
    expect(error.reenter).toContain('bwrap');
  });

  it('refuses a package file that is not what was resolved', async () => {
    const deb = await buildPackage(await place('changed-source'), tiny);
    const directory = await place('changed');
    const set = await buildRepository(directory, [deb], {});
    const packages = await packagesOf(await bench.resolve(set, {}));
    const size = (await readFile(deb)).length;
    await writeFile(join(directory, 'tiny_1_all.deb'), Buffer.alloc(size, 'evil'));
    const changed = hostPath(join(scratch, 'changed.json'));
    await writeFile(changed, formatResolvedPackages(packages));
    const error = await failureOf(bench.install(changed, await place('changed-root')));
    expect(error.code).toBe('hash-mismatch');
    expect(error.message).toContain('tiny 1');
    expect(error.message).toContain(packages[0]?.sha256);
  });
});

describe('without root', () => {
  const cases = [
    { name: 'with subordinate ids', mode: 'subids', mail: [0, 8] },
    { name: 'without subordinate ids', mode: 'single-id', mail: [0, 0] },
  ] as const;
  let home: string;

  beforeAll(async () => {
    home = await place('user');
    const rooms = ['base', 'config', 'distro', 'plan', 'sandbox', 'formats', 'steps'].map(
      (room) => `src/${room}`,
    );
    const files = ['src/engine/lock.ts', 'src/cli/host.ts'];
    const helpers = ['test/helpers/apt-bench.ts', 'test/helpers/apt-program.ts'];
    transpileInto(home, [...rooms, ...files, ...helpers]);
    if (!isRoot) await symlink(join(repository, 'node_modules'), join(home, 'node_modules'));
  });

  it.each(cases)('installs the same packages $name', async ({ mode, mail }) => {
    const prefix = isRoot
      ? await ordinaryUserPrefix({
          scratch: hostPath(home),
          hasSubordinateIds: mode === 'subids',
          binds: { node_modules: join(repository, 'node_modules') },
        })
      : [];
    const wanted = await packagesOf(await bench.resolve(trixie, {}));
    await execute('mkdir', ['-p', join(scratch, 'packages')]);
    const program = [process.execPath, join(home, 'test/helpers/apt-program.js')];
    const target = join(home, 'home', mode);
    const [first = '', ...rest] = [
      ...prefix,
      ...['sh', '-c', 'mkdir -p "$0" && exec "$@"', target],
      ...[...program, mode, target, isRoot ? join(scratch, 'packages') : join(target, 'packages')],
    ];
    const ran = spawnSync(first, rest, { encoding: 'utf8', maxBuffer: 1 << 26 });
    expect(ran.stderr).toBe('');
    const result = JSON.parse(ran.stdout) as { packages: [string, string][]; mail: number[] };
    expect(result.packages.map(([name]) => name).sort()).toEqual(names(wanted).sort());
    expect(result.packages.every(([, state]) => state === 'installed')).toBe(true);
    expect(result.mail).toEqual(mail);
  });
});
