import { execFile } from 'node:child_process';
import { appendFile, chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import type { RunEvent } from '../../src/base/events.ts';
import { isObject } from '../../src/base/canonical.ts';
import { nativeArchitecture } from '../../src/distro/architectures/index.ts';
import type { RepositorySet } from '../../src/distro/repositories.ts';
import type { ResolvedPackage } from '../../src/distro/resolved.ts';
import { parseResolvedPackages } from '../../src/distro/resolved.ts';
import type { HostPackageSource } from '../../src/plan/vocabulary.ts';
import { mountOverlay } from '../../src/sandbox/overlay.ts';
import { addDlopens } from '../../src/steps/add-dlopens.ts';
import { openRepositorySet } from '../../src/steps/apt/repository-set.ts';
import { checkDlopens } from '../../src/steps/check-dlopens.ts';
import { unresolvedInTree } from '../../src/steps/dlopen/tree.ts';
import { installPackages } from '../../src/steps/install-packages.ts';
import { resolvePackages } from '../../src/steps/resolve-packages.ts';
import { unpackPackages } from '../../src/steps/unpack-packages.ts';
import { AptBench, buildPackage, buildRepository, debianSet, failureOf } from '../helpers/apt-bench.ts';
import { isRoot } from '../helpers/ordinary-user.ts';

const execute = promisify(execFile);
const architecture = nativeArchitecture();

let scratch: HostPath;
let bench: AptBench;
let system: HostPath;
let installed: readonly ResolvedPackage[];
let nowhere: RepositorySet;
let count = 0;

/** What a resolution on a system answers. */
interface Answer {
  readonly packages: readonly ResolvedPackage[];
  readonly file: HostPath;
  readonly meta: Readonly<Record<string, unknown>>;
  readonly notes: readonly string[];
}

interface Question {
  readonly root: HostPath;
  readonly names?: readonly string[];
  readonly sources?: readonly HostPackageSource[];
  readonly set?: RepositorySet;
}

async function place(name: string): Promise<HostPath> {
  const path = hostPath(join(scratch, `${name}-${++count}`));
  await mkdir(path, { mode: 0o755 });
  return path;
}

function inputsOf({ root, names = ['systemd', 'udev'], sources, set }: Question) {
  return {
    repositories: openRepositorySet(set ?? nowhere),
    request: { names, recommends: false, packageDirectories: [] },
    architecture,
    host: { root, sources: sources ?? ['cache', 'repository', 'installed'] },
  } as const;
}

/** Answers with a cache of its own, unless one is given. */
async function ask(question: Question, mine?: AptBench): Promise<Answer> {
  const own = mine ?? new AptBench(await place('cache'), 'root');
  const events: RunEvent[] = [];
  const context = await own.context({ events: { emit: (event) => events.push(event) } });
  const file = hostPath(join(context.work, 'resolved.json'));
  const meta = await resolvePackages.run(inputsOf(question), file, context);
  return {
    ...{ file, meta: isObject(meta) ? meta : {} },
    packages: parseResolvedPackages(await readFile(file, 'utf8')).packages,
    notes: events.flatMap((event) => (event.type === 'note' ? [event.code] : [])),
  };
}

/** A copy of the system that a test may change. */
async function withSystem(test: (root: HostPath) => Promise<void>): Promise<void> {
  const [upper, work, target] = [await place('upper'), await place('work'), await place('system')];
  await using _ = await mountOverlay({ lowers: [system], upper, work, target });
  await test(target);
}

/** Unpacks and sets up what was resolved, as a build does. */
async function withTree(
  file: HostPath,
  test: (root: HostPath) => Promise<void>,
  options: { readonly skipKnownScripts?: true } = {},
): Promise<void> {
  const [lower, upper] = [await place('lower'), await place('upper')];
  const [work, target] = [await place('work'), await place('tree')];
  const own = new AptBench(await place('cache'), 'root');
  const inputs = { resolved: { path: file, meta: null }, architecture, documentation: true };
  await unpackPackages.run(inputs, lower, await own.context());
  await using _ = await mountOverlay({ lowers: [lower], upper, work, target });
  const more = { base: { root: target }, bootable: false, environment: {}, ...options };
  await installPackages.run({ ...inputs, ...more }, target, await own.context());
  await test(target);
}

/** Types, modes and content of what is in a tree. */
async function listing(root: HostPath): Promise<ReadonlyMap<string, string>> {
  const script = `cd "$1" && find . -mindepth 1 \\( -type f -exec md5sum {} + -o -type l -printf '%l  %p\\n' \\)`;
  const { stdout } = await execute('sh', ['-c', script, 'sh', root], { maxBuffer: 64 << 20 });
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(/ {2}\.\//));
  return new Map(rows.map(([content = '', path = '']) => [path, content]));
}

/** What scripts leave that an initrd does not need, or gets otherwise. */
const knownDifferences: readonly RegExp[] = [
  // dpkg's own records, removed from initrds, and what deb-systemd-helper remembers.
  /^var\/lib\/(?:dpkg|systemd|shells\.state|pam|debconf)(?:\/|$)/,
  /^var\/(?:cache|log)\//,
  // Accounts of systemd-sysusers, made later.
  /^etc\/(?:passwd|group|shadow|gshadow)-?$/,
  /^etc\/sub[ug]id$/,
  // PAM, which nobody in an initrd uses.
  /^etc\/pam\.d\/common-/,
  /^etc\/security\/opasswd$/,
  // For people who log in.
  /^root\//,
  /^etc\/(?:profile|motd|environment|issue.*|modules|machine-id|debconf\.conf|\.pwd\.lock)$/,
  /^(?:etc\/dpkg\/origins\/default|usr\/local\/man|usr\/share\/info\/dir|var\/spool\/mail)$/,
  // Units are enabled by presets, volatile files are made by tmpfiles.d.
  /^etc\/(?:systemd|rc[0-9S]\.d|init\.d)\//,
  /^etc\/(?:mtab|vconsole\.conf|default\/.*|adduser\.conf)$/,
  // The loader's cache has times in it.
  /^etc\/ld\.so\.cache$/,
];

function versions(packages: readonly ResolvedPackage[]): readonly string[] {
  return packages.map(({ name, version }) => `${name} ${version}`);
}

function marked(packages: readonly ResolvedPackage[], name: string): ResolvedPackage['repacked'] {
  return packages.find((entry) => entry.name === name)?.repacked;
}

describe.skipIf(!isRoot)('packages of a running system (needs root)', () => {
  beforeAll(async () => {
    scratch = hostPath(await mkdtemp('/var/tmp/mkimg-host-packages-'));
    await chmod(scratch, 0o755);
    bench = new AptBench(await place('bench'), 'root');
    system = await place('root');
    nowhere = {
      ...(await debianSet('trixie')),
      repositories: [
        { uris: ['http://127.0.0.1:9/debian'], suites: ['trixie'], components: ['main'], trusted: true },
      ],
    };
    const resolved = await bench.resolve(await debianSet('trixie'), { names: ['systemd', 'udev'] });
    installed = parseResolvedPackages(await readFile(resolved, 'utf8')).packages;
    await bench.install(resolved, system);
  });
  afterAll(() => rm(scratch, { recursive: true, force: true }));

  it('are made of the installed files without network and caches, and install like the originals', async () => {
    const { packages, file, notes, meta } = await ask({ root: system });
    const names = new Set(installed.map(({ name }) => name));
    expect(packages.every(({ name, repacked }) => names.has(name) && repacked !== undefined)).toBe(true);
    expect(versions(installed)).toEqual(expect.arrayContaining([...versions(packages)]));
    expect(
      packages.flatMap(({ repacked }) => [...(repacked?.missing ?? []), ...(repacked?.modified ?? [])]),
    ).toEqual([]);
    expect(notes).toEqual(['packages-repacked']);
    expect(meta['leftOut']).toEqual([]);
    await withTree(file, async (root) => {
      expect((await execute('chroot', [root, 'dpkg', '--audit'])).stdout).toBe('');
      expect((await execute('chroot', [root, 'dpkg', '--verify'])).stdout).toBe('');
      for (const path of ['usr/lib/systemd/systemd', 'etc/systemd/system.conf', 'usr/bin/su'])
        expect((await readFile(join(root, path))).equals(await readFile(join(system, path)))).toBe(true);
    });
    expect(versions((await ask({ root: system })).packages)).toEqual(versions(packages));
    expect((await ask({ root: system })).meta['content']).toBe(meta['content']);
  });

  it('come from package files where these are whole', async () => {
    await withSystem(async (root) => {
      const archives = join(root, 'var/cache/apt/archives');
      await mkdir(archives, { recursive: true });
      for (const { name, version, architecture: own, sha256 } of installed) {
        const file = join(archives, `${name}_${version.replaceAll(':', '%3a')}_${own}.deb`);
        await copyFile(join(bench.directory, 'packages', `${sha256}.deb`), file);
      }
      const whole = await ask({ root });
      expect(whole.packages.filter(({ repacked }) => repacked !== undefined)).toEqual([]);
      const digests = new Map(installed.map(({ name, sha256 }) => [name, sha256]));
      expect(whole.packages.filter(({ name, sha256 }) => digests.get(name) !== sha256)).toEqual([]);
      await withTree(whole.file, () => Promise.resolve());
    });
  });

  it('come from the repository as long as it has the installed versions', async () => {
    await withSystem(async (root) => {
      const set = await debianSet('trixie');
      const lists = join(root, 'var/lib/apt/lists');
      await mkdir(lists, { recursive: true });
      const context = await bench.context();
      const { stdout } = await execute('find', [context.metadataCache, '-name', '*_Packages']);
      for (const path of stdout.trim().split('\n'))
        await copyFile(path, join(lists, path.split('/').at(-1) ?? ''));
      const { packages, notes } = await ask({ root, names: ['udev'], set });
      expect(packages.filter(({ repacked }) => repacked !== undefined)).toEqual([]);
      expect(notes).toEqual([]);
      // What the lists say is checked: another file in APT's archives is not taken.
      const bash = installed.find(({ name }) => name === 'bash');
      if (bash === undefined) throw new Error('bash is not essential any more');
      const archives = join(root, 'var/cache/apt/archives');
      await mkdir(archives, { recursive: true });
      await writeFile(
        join(archives, `bash_${bash.version}_${bash.architecture}.deb`),
        Buffer.alloc(bash.size),
      );
      const damaged = await ask({ root, names: ['udev'], set, sources: ['cache', 'installed'] });
      expect(marked(damaged.packages, 'bash')).toBeDefined();
    });
  });

  it('are made of the installed files without looking further where these are as they were installed', async () => {
    await withSystem(async (root) => {
      const sources = ['intact', 'cache', 'installed'] as const;
      const whole = await ask({ root, sources });
      expect(whole.packages.every(({ repacked }) => repacked !== undefined)).toBe(true);
      expect(whole.notes).toEqual([]);
      // One that was changed comes from its package file.
      const bash = installed.find(({ name }) => name === 'bash');
      if (bash === undefined) throw new Error('bash is not essential any more');
      const archives = join(root, 'var/cache/apt/archives');
      await mkdir(archives, { recursive: true });
      const file = join(archives, `bash_${bash.version}_${bash.architecture}.deb`);
      await copyFile(join(bench.directory, 'packages', `${bash.sha256}.deb`), file);
      await appendFile(join(root, 'etc/bash.bashrc'), '# ours\n');
      const changed = await ask({ root, sources });
      expect(marked(changed.packages, 'bash')).toBeUndefined();
      expect(changed.packages.filter(({ repacked }) => repacked === undefined)).toHaveLength(1);
      await rm(file);
      const gone = await ask({ root, sources });
      expect(marked(gone.packages, 'bash')).toEqual({ modified: ['etc/bash.bashrc'], missing: [] });
      expect(gone.notes).toEqual(['packages-repacked']);
    });
  });

  it('are set up without their scripts as with them, as far as an initrd is concerned', async () => {
    const { file } = await ask({ root: system });
    let withScripts: ReadonlyMap<string, string> = new Map();
    await withTree(file, async (root) => {
      withScripts = await listing(root);
    });
    await withTree(
      file,
      async (root) => {
        const without = await listing(root);
        const names = new Set([...withScripts.keys(), ...without.keys()]);
        const different = [...names].filter(
          (name) =>
            withScripts.get(name) !== without.get(name) &&
            !knownDifferences.some((known) => known.test(name)),
        );
        expect(different.sort()).toEqual([]);
        // Accounts that systemd-sysusers makes come later.
        const passwd = await readFile(join(root, 'etc/passwd'), 'utf8');
        expect(passwd).toMatch(/^root:[*x]:0:0:/m);
      },
      { skipKnownScripts: true },
    );
  });

  it('say what of them was changed or is gone', async () => {
    await withSystem(async (root) => {
      const before = await ask({ root });
      await appendFile(join(root, 'etc/systemd/system.conf'), '# ours\n');
      await rm(join(root, 'usr/lib/systemd/systemd-sysctl'));
      const { packages, file } = await ask({ root });
      expect(marked(packages, 'systemd')).toEqual({
        modified: ['etc/systemd/system.conf'],
        missing: ['usr/lib/systemd/systemd-sysctl'],
      });
      const changed = packages.filter(
        ({ name, sha256 }) => before.packages.find((entry) => entry.name === name)?.sha256 !== sha256,
      );
      expect(changed.map(({ name }) => name)).toEqual(['systemd']);
      await withTree(file, async (tree) => {
        expect(await readFile(join(tree, 'etc/systemd/system.conf'), 'utf8')).toContain('# ours');
      });
    });
  });

  it('leave out what is neither installed nor to be had, and add what is to be had', async () => {
    const offline = await ask({ root: system, names: ['udev', 'dosfstools'] });
    expect(offline.notes).toContain('package-left-out');
    expect(offline.meta['leftOut']).toEqual(['dosfstools']);
    const source = await place('source');
    const extra = await buildPackage(source, { Package: 'extra', Depends: 'udev, extra-data' });
    const data = await buildPackage(source, { Package: 'extra-data' }, { 'usr/share/extra': 'text' });
    const set = await buildRepository(await place('repository'), [extra, data], {});
    const { packages, meta } = await ask({ root: system, names: ['systemd', 'extra'], set });
    expect(meta['added']).toEqual(['extra', 'extra-data']);
    expect(versions(installed)).toEqual(
      expect.arrayContaining([...versions(packages.filter(({ name }) => !name.startsWith('extra')))]),
    );
    expect(await failureOf(ask({ root: system, names: ['dosfstools'] }))).toMatchObject({
      code: 'package-not-found',
    });
  });

  it('work on a system that lacks what they depend on', async () => {
    await withSystem(async (root) => {
      await execute('chroot', [root, 'dpkg', '--force-depends', '--purge', 'libkmod2']);
      const { packages, notes, file } = await ask({ root });
      expect(notes).toContain('host-dependency-unmet');
      expect(packages.find(({ name }) => name === 'udev')?.unmet).toEqual(['libkmod2']);
      await withTree(file, async (tree) => {
        // systemd recommends it by a dlopen note, too.
        const missing = await unresolvedInTree(tree, new AbortController().signal);
        expect(missing.flatMap(({ sonames }) => sonames)).toContain('libkmod.so.2');
        const policy = { kmod: 'require' } as const;
        const failure = await failureOf(
          checkDlopens.run({ base: { root: tree }, policy }, tree, await bench.context()),
        );
        expect(failure).toMatchObject({ code: 'library-missing', items: ['libkmod.so.2'] });
        expect(failure.hint).toContain('libkmod2');
      });
    });
  });

  it('are looked at again only when the system has changed', async () => {
    await withSystem(async (root) => {
      const own = new AptBench(await place('cache'), 'root');
      const inputs = { ...inputsOf({ root }), repositories: nowhere };
      const state = async () => resolvePackages.state?.(inputs, await own.context());
      expect(await state()).toBeUndefined();
      await ask({ root }, own);
      const before = await state();
      expect(before).toBeDefined();
      expect(await state()).toBe(before);
      await appendFile(join(root, 'etc/systemd/system.conf'), '# ours\n');
      const changed = await state();
      expect(changed).not.toBe(before);
      await writeFile(
        join(root, 'var/lib/dpkg/updates/0000'),
        'Package: x\nStatus: install ok unpacked\nVersion: 1\n',
      );
      expect(await state()).not.toBe(changed);
    });
  });

  it('get the packages of libraries that they open, with the reason', async () => {
    const { file } = await ask({ root: system });
    const set = await debianSet('trixie');
    const context = await bench.context();
    const target = hostPath(join(context.work, 'added.json'));
    const inputs = inputsOf({ root: system, set });
    await addDlopens.run(
      { ...inputs, resolved: { path: file, meta: null }, policy: { tpm: 'add' } },
      target,
      context,
    );
    const { packages } = parseResolvedPackages(await readFile(target, 'utf8'));
    const reasons = packages.flatMap(({ name, reason }) =>
      reason === undefined ? [] : [`${name}: ${reason}`],
    );
    expect(reasons.join('\n')).toMatch(
      /^libtss2-esys-\S+: \S+libsystemd-shared-\S+ opens libtss2-esys\.so\.0 \(tpm: /m,
    );
    expect(packages.filter(({ reason }) => reason === undefined).length).toBeGreaterThan(50);
  });
});
