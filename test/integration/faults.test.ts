/** Bad input and faults, seen from outside: what is said, where, what to do next, the exit code, and what is left. */
import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import type { RunEvent } from '../../src/base/events.ts';
import type { CliResult } from '../helpers/cli.ts';
import { mkimg, until } from '../helpers/cli.ts';
import { serveFiles } from '../helpers/file-server.ts';
import type { ImageBench } from '../helpers/image-bench.ts';
import { imageBench } from '../helpers/image-bench.ts';
import { isRoot } from '../helpers/ordinary-user.ts';
import { writeFiles } from '../helpers/project.ts';
import { copyOf, tinySources } from '../helpers/tiny-distribution.ts';

const tar = '[Distribution]\nRelease=trixie\n[Output]\nFormat=tar\n[Content]\nPackages=more\n';
const exitCodes = { build: 1, usage: 2 } as const;

let bench: ImageBench;

beforeAll(async () => {
  bench = await imageBench();
});
afterEach(async () => {
  bench.server.stallAt = undefined;
  const left = await bench.leftovers();
  // The place of a failed step stays for the command that leads into it, until the next build.
  expect(left.filter((what) => !what.startsWith('stage '))).toEqual([]);
});
afterAll(() => bench[Symbol.asyncDispose]());

type ErrorEvent = Extract<RunEvent, { type: 'error' }>;

function errorOf({ events }: CliResult): ErrorEvent {
  const errors = events.filter((event): event is ErrorEvent => event.type === 'error');
  expect(errors).toHaveLength(1);
  return errors[0] as ErrorEvent;
}

async function isBuilt(project: HostPath): Promise<boolean> {
  return (await readdir(project)).some((name) => name.startsWith('image'));
}

describe('configuration', () => {
  async function refused(settings: string, files: Readonly<Record<string, string>> = {}) {
    const project = await bench.project(settings, files);
    const before = await readdir(project);
    const result = await bench.run(project, ['build']);
    expect(result.code).toBe(exitCodes.usage);
    expect(result.stdout).toBe('');
    expect(await readdir(project)).toEqual(before);
    return { said: result.stderr.replaceAll(project, '.'), project };
  }

  it('names unknown settings and values of the wrong type, all at once', async () => {
    const { said } = await refused('[Content]\nPackges=bash\nBootable=perhaps\n[Output]\nOutputMode=9\n');
    expect(said).toContain(`./mkimg.conf:2:1: error: Packges= is not a setting
    Packges=bash
    ~~~~~~~
  hint: Did you mean 'Packages'?
./mkimg.conf:3:10: error: 'perhaps' is neither yes, no nor auto
    Bootable=perhaps
             ~~~~~~~
`);
    expect(said).toContain('./mkimg.conf:5:12: error: ');
  });

  it('names an included file that is missing', async () => {
    const { said } = await refused(`[Include]\nInclude=more.conf\n${tar}`);
    expect(said).toContain('./mkimg.conf:2:9: error: more.conf does not exist');
    expect(said).toContain('hint: Looked for ./more.conf');
  });

  it('names a script that is missing, and one that cannot be executed', async () => {
    const missing = await refused(`${tar}PostInstallationScripts=go.sh\n`);
    expect(missing.said).toContain('./mkimg.conf:7:25: error: go.sh does not exist');
    const inert = await refused(`${tar}PostInstallationScripts=go.sh\n`, { 'go.sh': 'exit 0\n' });
    expect(inert.said).toContain('./mkimg.conf:7:25: error: ./go.sh is not executable');
    expect(inert.said).toContain('hint: Run chmod +x ./go.sh.');
  });

  it('names an extra tree that is missing', async () => {
    const { said } = await refused(`${tar}ExtraTrees=nowhere\n`);
    expect(said).toContain('./mkimg.conf:7:12: error: ./nowhere does not exist');
  });

  it('is missed in a directory without one, and in one that is not there', async () => {
    const empty = hostPath(join(bench.directory, 'empty'));
    await mkdir(empty);
    const none = await bench.run(empty, ['build']);
    expect(none.code).toBe(exitCodes.usage);
    expect(none.stderr).toBe(
      `error: no configuration found in ${empty}\n  hint: Run 'mkimg init' to write one, or name another directory with -C.\n`,
    );
    expect(await readdir(empty)).toEqual([]);
    const nowhere = await bench.run(hostPath('/nonexistent'), ['build']);
    expect(nowhere.code).toBe(exitCodes.usage);
    expect(nowhere.stderr).toContain('error: there is no directory /nonexistent\n');
  });

  it.each(['/proc/nothing', '/proc/version', '/proc/version/below'])(
    'names the line that chose the output directory %s, which cannot be written to',
    async (directory) => {
      const { said } = await refused(`${tar}[Output]\nOutputDirectory=${directory}\n`);
      expect(said).toContain(`./mkimg.conf:8:17: error: Cannot write to the output directory ${directory}: `);
      expect(said).toContain('hint: Name another one with OutputDirectory=');
    },
  );

  it('names a cache directory that cannot be written to', async () => {
    const { said } = await refused(`${tar}[Build]\nCacheDirectory=/proc/nothing\n`);
    expect(said).toContain('Cannot write to the cache directory /proc/nothing');
  });
});

describe('tools', () => {
  it('are named, each with its reason and its package, before anything runs', async () => {
    const project = await bench.project(tar.replace('Format=tar', 'Format=disk'));
    const empty = join(bench.directory, 'no-tools');
    await mkdir(join(empty, 'usr/bin'), { recursive: true });
    // Says a version that is too old, and is found to.
    await writeFile(join(empty, 'usr/bin/dpkg-deb'), '#!/bin/sh\n', { mode: 0o755 });
    const result = await bench.run(project, ['--tools-tree', empty, 'build']);
    expect(result.code).toBe(exitCodes.build);
    const error = errorOf(result);
    expect(error.code).toBe('tool-missing');
    expect(error.location).toBe(`--tools-tree=${empty}`);
    expect(error.message).toContain(`Tools are missing in the tools tree ${empty}:`);
    expect(error.message).toContain('\napt-get 2.3 or later (choosing packages)');
    expect(error.message).toContain('\nsystemd-repart 254 or later (to lay out the disk image)');
    expect(error.hint).toMatch(/ apt .*systemd-repart/);
    expect(result.events.filter(({ type }) => type === 'step-started')).toEqual([]);
    const nowhere = await bench.run(project, ['--tools-tree', '/nonexistent', 'build']);
    expect(nowhere.code).toBe(exitCodes.usage);
    expect(nowhere.stderr).toContain('--tools-tree=/nonexistent: error: /nonexistent does not exist\n');
  });

  it.skipIf(!isRoot)('are asked of the machine with ToolsTree=no (needs root to hide them)', async () => {
    const project = await bench.project(`${tar.replace('Format=tar', 'Format=disk')}[Build]\nToolsTree=no\n`);
    const hide =
      'mount -t tmpfs none /usr/lib/systemd; for p in /usr/bin/systemd-repart /usr/bin/dpkg-deb; do [ ! -e $p ] || mount --bind /dev/null $p; done; exec "$@"';
    const prefix = ['unshare', '--mount', 'sh', '-c', hide, 'sh'];
    const result = await mkimg(['-C', project, 'build'], { env: bench.env, prefix });
    expect(result.code).toBe(exitCodes.build);
    const error = errorOf(result);
    expect(error.location).toBe(`${project}/mkimg.conf:8:11`);
    expect(error.message).toContain('Tools are missing on this machine:');
    expect(error.message).toContain('\nsystemd-repart 254 or later (to lay out the disk image)');
    expect(error.hint).toMatch(/apt install .*systemd-repart/);
    expect(error.hint).toContain('ToolsTree=default');
  });
});

describe('repositories', () => {
  /** A project whose only repository is this one; `sources` lines replace `Trusted: yes`. */
  async function projectOf(uri: string, sources?: readonly string[], more = ''): Promise<HostPath> {
    const project = await bench.project(`${tar}${more}`);
    await writeFiles(project, tinySources(uri, sources));
    return project;
  }

  async function failed(project: HostPath, code: string): Promise<ErrorEvent> {
    const result = await bench.run(project, ['build']);
    expect(result.code, result.stderr).toBe(exitCodes.build);
    const error = errorOf(result);
    expect(error.code).toBe(code);
    expect(error.hint).not.toBe(undefined);
    expect(error.reenter).toBe(undefined);
    expect(await isBuilt(project)).toBe(false);
    return error;
  }

  it('name each package that they do not have at its place in Packages=', async () => {
    const project = await bench.project(`${tar}Packages=moree,\n    tiny-base\n\tnowhere\n`);
    const result = await bench.run(project, ['build']);
    expect(result.code).toBe(exitCodes.build);
    const error = errorOf(result);
    expect(error.code).toBe('package-not-found');
    expect(error.message).toBe(
      'Cannot find moree (there is no such package; did you mean more?), nowhere (there is no such package).',
    );
    expect(error.location).toBe(`${project}/mkimg.conf:7:10`);
    expect(error.excerpt).toEqual([
      '    Packages=moree,',
      '             ~~~~~',
      `${project}/mkimg.conf:9:2: here as well`,
      '    \tnowhere',
      '    \t~~~~~~~',
    ]);
    expect(result.stderr).toContain(`${project}/mkimg.conf:7:10: error: Cannot find moree`);
  });

  it('name a package that a flag asked for by the flag', async () => {
    const result = await bench.run(await bench.project(tar), ['--package=nowhere', 'build']);
    expect(errorOf(result).location).toBe('--package=nowhere');
  });

  it('are reported with Mirror= where the mirror cannot be reached', async () => {
    const project = await bench.project(`${tar}[Distribution]\nMirror=http://127.0.0.1:9/debian\n`);
    await rm(join(project, 'mkimg.sandbox'), { recursive: true });
    const error = await failed(project, 'mirror-unreachable');
    expect(error.message).toMatch(
      /^Cannot fetch http:\/\/127\.0\.0\.1:9\/debian\/dists\/trixie\/InRelease: .*[^:]$/,
    );
    expect(error.location).toBe(`${project}/mkimg.conf:8:8`);
    expect(error.hint).toContain('Mirror=');
  });

  it('are refused without a signature, and with one of a key that is not trusted', async () => {
    const unsigned = await projectOf(bench.server.uri, []);
    const error = await failed(unsigned, 'bad-signature');
    expect(error.message).toContain(
      `The repository ${bench.server.uri} test is not signed by a key that is trusted`,
    );
    expect(error.location).toBe(`${unsigned}/mkimg.sandbox`);
    expect(error.hint).toContain('--repository-key-check=no');

    const signed = await copyOf(bench.distribution, join(bench.directory, 'signed'));
    await sign(signed);
    await using server = await serveFiles(signed);
    const project = await projectOf(server.uri, ['Signed-By: /etc/apt/keyrings/key.gpg']);
    const key = join(project, 'mkimg.sandbox/etc/apt/keyrings/key.gpg');
    const trust = async (name: string): Promise<void> =>
      writeFiles(project, { 'mkimg.sandbox/etc/apt/keyrings/.keep': '' }).then(() =>
        copyFile(join(bench.directory, `${name}.gpg`), key),
      );
    await trust('other');
    await failed(project, 'bad-signature');
    await trust('right');
    expect((await bench.run(project, ['build'])).code).toBe(0);

    // Changed after it was signed, and after it was fetched, although longer ago than the last look at the mirror.
    const release = join(signed, 'dists/test/InRelease');
    await writeFile(release, (await readFile(release, 'utf8')).replace('Suite: test', 'Suite: tset'));
    await utimes(release, Date.now() / 1000, Date.now() / 1000 - 60);
    const changed = await bench.run(project, ['build', '-f', '--refresh']);
    expect(changed.code).toBe(exitCodes.build);
    expect(errorOf(changed).code).toBe('bad-signature');
  });

  /** Signs a repository's Release file with a new key; writes its keyring and one of another key. */
  async function sign(repository: HostPath): Promise<void> {
    const release = join(repository, 'dists/test/Release');
    for (const name of ['right', 'other']) {
      const home = join(bench.directory, `gnupg-${name}`);
      await mkdir(home, { mode: 0o700 });
      const gpg = (...argv: string[]): void => {
        const done = spawnSync('gpg', ['--homedir', home, '--batch', '--quiet', '--passphrase', '', ...argv]);
        expect(done.status, String(done.stderr)).toBe(0);
      };
      gpg('--quick-generate-key', `${name}@mkimg.example`, 'ed25519', 'sign', 'never');
      gpg('--output', join(bench.directory, `${name}.gpg`), '--export');
      if (name === 'right') gpg('--output', release.replace(/Release$/, 'InRelease'), '--clearsign', release);
      spawnSync('gpgconf', ['--homedir', home, '--kill', 'all']);
    }
    const hourAgo = Date.now() / 1000 - 3600;
    await utimes(release.replace(/Release$/, 'InRelease'), hourAgo, hourAgo);
  }

  it('are refused when a package does not have the hash of the index', async () => {
    const directory = await copyOf(bench.distribution, join(bench.directory, 'corrupt'));
    const deb = join(directory, 'pool/more.deb');
    const intact = await readFile(deb);
    await writeFile(deb, Buffer.from(intact).fill('x', intact.length >> 1));
    await using server = await serveFiles(directory);
    const project = await projectOf(server.uri);
    // Its own cache: the others' pool has the package already.
    const env = { XDG_CACHE_HOME: join(bench.directory, 'cache-corrupt') };
    const result = await bench.run(project, ['build'], { env });
    expect(result.code).toBe(exitCodes.build);
    const error = errorOf(result);
    expect(error.code).toBe('hash-mismatch');
    expect(error.message).toContain(`more 1 from ${server.uri}/pool/more.deb has the SHA-256`);
    expect(error.location).toBe(`${project}/mkimg.sandbox`);
    const [hash = ''] = /(?<=says )[0-9a-f]{64}/.exec(error.message) ?? [];
    const pool = await readdir(join(env.XDG_CACHE_HOME, 'mkimg/packages'));
    expect(pool.filter((name) => name.startsWith(hash))).toEqual([]);
    expect(await isBuilt(project)).toBe(false);
    await writeFile(deb, intact);
    expect((await bench.run(project, ['build'], { env })).code).toBe(0);
  });

  it('are refused past their date, and accepted with CheckValidUntil=no', async () => {
    const directory = await copyOf(bench.distribution, join(bench.directory, 'expired'));
    const release = join(directory, 'dists/test/Release');
    const dates = 'Date: Fri, 30 Oct 2020 08:08:01 UTC\nValid-Until: Fri, 06 Nov 2020 08:08:01 UTC\n';
    await writeFile(release, `${dates}${await readFile(release, 'utf8')}`);
    await using server = await serveFiles(directory);
    const project = await projectOf(server.uri);
    const error = await failed(project, 'metadata-expired');
    expect(error.message).toMatch(/dists\/test\/Release is past its Valid-Until of 2020-11-06 08:08 UTC\.$/);
    expect(error.hint).toContain('CheckValidUntil=no');
    expect((await bench.run(project, ['--check-valid-until=no', 'build'])).code).toBe(0);
  });

  it('that stop answering in the middle of a package do not lose what came', async () => {
    const project = await bench.project(tar);
    const env = { XDG_CACHE_HOME: join(bench.directory, 'cache-resume') };
    bench.server.stallAt = /tiny-base\.deb$/;
    const running = await bench.start(project, ['build'], { env });
    await running.said('begin  main: unpack the base set');
    const pool = join(env.XDG_CACHE_HOME, 'mkimg/packages');
    await until(async () => (await readdir(pool).catch(() => [])).some((name) => name.endsWith('.part')));
    running.kill('SIGINT');
    expect((await running.ended).code).toBe(130);
    expect((await readdir(pool)).filter((name) => name.includes('.lock'))).toEqual([]);
    bench.server.stallAt = undefined;
    expect((await bench.run(project, ['build'], { env })).code).toBe(0);
    expect((await readdir(pool)).filter((name) => !name.endsWith('.deb'))).toEqual([]);
  });
});

describe('scripts', () => {
  it('that fail are shown with their exit code, last lines and a way into their sandbox', async () => {
    const project = await bench.project(`${tar}PostInstallationScripts=go.sh\n`, {
      'go.sh': '#!/bin/sh\necho working\necho marked > "$BUILDROOT/marked"\necho the reason >&2\nexit 3\n',
    });
    const result = await bench.run(project, ['build']);
    expect(result.code).toBe(exitCodes.build);
    const error = errorOf(result);
    expect(error.code).toBe('script-failed');
    expect(error.location).toBe(`${project}/mkimg.conf:7:25`);
    expect(error.message).toBe(`${project}/go.sh failed while running as postinst script: exit code 3.`);
    expect(error.tail).toEqual(['working', 'the reason']);
    expect(error.reenter?.length).toBeLessThan(300);
    expect(result.stderr).toContain(`    ${error.reenter ?? ''}\n`);
    expect(await isBuilt(project)).toBe(false);
    // As pasted into a shell: the tree as the script left it, the script's own places and environment.
    const input = 'cat "$BUILDROOT/marked"; pwd; head -n 1 /work/postinst; test -e /home || echo sandbox\n';
    const inside = spawnSync('sh', ['-c', error.reenter ?? 'false'], { input, encoding: 'utf8' });
    expect(inside.stderr).toBe('');
    expect(inside.stdout).toBe('marked\n/work/src\n#!/bin/sh\nsandbox\n');
    expect((await bench.leftovers()).filter((what) => what.startsWith('stage '))).toHaveLength(1);

    await writeFile(join(project, 'go.sh'), '#!/bin/sh\n');
    expect((await bench.run(project, ['build'])).code).toBe(0);
    expect(await bench.leftovers()).toEqual([]);
  });

  it('without their interpreter are named', async () => {
    const project = await bench.project(`${tar}FinalizeScripts=go.sh\n`, { 'go.sh': '#!/usr/bin/nothing\n' });
    const error = errorOf(await bench.run(project, ['build']));
    expect(error.message).toContain(
      `${project}/go.sh failed while running as finalize script: there is no such program`,
    );
    expect(error.hint).toContain(`${project}/go.sh and its interpreter`);
  });

  it('of packages that fail are shown with the package', async () => {
    await bench.distribution.add({
      name: 'failing',
      files: { 'DEBIAN/postinst': '#!/bin/sh\necho the reason\nexit 7\n' },
    });
    const project = await bench.project(`${tar}Packages=failing\n`);
    const result = await bench.run(project, ['build', '--refresh']);
    expect(result.code).toBe(exitCodes.build);
    const error = errorOf(result);
    expect(error.code).toBe('package-failed');
    expect(error.message).toMatch(/The package failing failed .*exit status 7/);
    expect(error.tail).toContain('the reason');
    const inside = spawnSync('sh', ['-c', error.reenter ?? 'false'], {
      input: 'dpkg --audit',
      encoding: 'utf8',
    });
    expect(inside.stdout).toContain('failing');
  });
});

describe.skipIf(!isRoot)('a full disk (needs root to mount a small one)', () => {
  const small = (): string => join(bench.directory, 'small');

  /** A shell script in a mount namespace in which `small` has this many megabytes. */
  function onSmallDisk(megabytes: number, script: readonly string[]): readonly string[] {
    const lines = [
      'set -eu',
      `mkdir -p ${small()}`,
      `mount -t tmpfs -o size=${megabytes}m tmpfs ${small()}`,
      ...script,
    ];
    return ['unshare', '--mount', 'sh', '-c', lines.join('\n'), 'sh'];
  }

  it.each([
    [2, 'indexes', /The cache holds nothing that could go/],
    [6, 'the first packages', /needs about \d{7,} bytes\n.*'mkimg cache prune' frees .*, with --all [1-9]/],
    [14, "dpkg's work", /; .* \d{7,} bytes\n.*'mkimg cache prune' frees .*, with --all [1-9]/],
  ])(
    'of %i MB, too small for %s, is named with what is needed; the next build after making room works',
    async (size, _, hint) => {
      const project = await bench.project(tar);
      const again = [
        '"$@" || echo "status $?"',
        `rm -f ${project}/image*`,
        `mount -o remount,size=100m ${small()}`,
        '"$@" >/dev/null 2>&1',
        `ls ${project}`,
        `ls -A ${small()}/mkimg/store/.staging`,
      ];
      const env = { XDG_CACHE_HOME: small() };
      const result = await bench.run(project, ['build'], { env, prefix: onSmallDisk(size, again) });
      expect(result.stderr).toMatch(
        new RegExp(`error: No space left on the file system of ${small()}/mkimg \\(\\d+ bytes free\\)`),
      );
      expect(result.stderr).toMatch(hint);
      expect(result.stdout).toBe('status 1\nimage\nimage.tar.zst\nmkimg.conf\nmkimg.sandbox\n');
      expect(result.code).toBe(0);
    },
  );

  it('with not a byte left still answers and prunes, and keeps the previous output', async () => {
    const project = await bench.project(tar);
    const script = [
      '"$@" build 2>/dev/null',
      `sum() { sha256sum < ${project}/image.tar.zst; }`,
      'before="$(sum)"',
      `dd if=/dev/zero of=${small()}/fill bs=64k 2>/dev/null || true`,
      '"$@" build 2>&1 | grep "Up to date"',
      '"$@" -f build >/dev/null 2>&1 || echo "forced: $?"',
      '[ "$(sum)" = "$before" ] && echo intact',
      '"$@" cache prune --all 2>/dev/null',
      `rm ${small()}/fill`,
      '"$@" -f build 2>&1 | grep -c "  built "',
    ];
    const env = { XDG_CACHE_HOME: small() };
    const { stdout } = await bench.run(project, [], { env, prefix: onSmallDisk(60, script) });
    expect(stdout).toMatch(/^Up to date.*\nforced: 1\nintact\nRemoved \d+ results .*\n1\n$/);
  });

  it('is named where it is the output directory', async () => {
    const project = await bench.project(`${tar}[Output]\nOutputDirectory=${small()}\n`);
    const script = ['"$@" || echo "status $?"', `ls -A ${small()}`];
    const result = await bench.run(project, ['build'], { prefix: onSmallDisk(1, script) });
    expect(result.stderr).toMatch(
      new RegExp(`No space left on the file system of ${small()} \\(\\d+ bytes free\\)`),
    );
    expect(result.stdout).toBe('status 1\n');
  });
});

describe('the store', () => {
  async function entries(label: string): Promise<readonly { key: string; path: string }[]> {
    const store = join(bench.cache, 'mkimg/store');
    const found: { key: string; path: string }[] = [];
    for (const key of (await readdir(store)).filter((name) => name !== '.staging')) {
      const record = await readFile(join(store, key, 'record.json'), 'utf8').catch(() => '{}');
      if ((JSON.parse(record) as { label?: string }).label === label)
        found.push({ key, path: join(store, key) });
    }
    return found;
  }

  /** Builds, damages the entry that a step made, and builds again what is not there any more. */
  async function damaged(label: string, damage: (path: string) => Promise<void>): Promise<CliResult> {
    const project = await bench.project(`${tar}Hostname=h${(hosts += 1)}\n`);
    const before = new Set((await entries(label)).map(({ key }) => key));
    const first = await bench.run(project, ['build']);
    expect(first.code, first.stderr).toBe(0);
    const made = (await entries(label)).filter(({ key }) => !before.has(key));
    expect(made).toHaveLength(1);
    await damage(made[0]?.path ?? '');
    const intact = await readFile(join(project, 'image.tar.zst'));
    await rm(join(project, 'image.tar.zst'));
    const second = await bench.run(project, ['build']);
    expect(second.code, second.stderr).toBe(0);
    expect((await readFile(join(project, 'image.tar.zst'))).equals(intact)).toBe(true);
    return second;
  }
  let hosts = 0;

  function warning(label: string): unknown {
    const message: unknown = expect.stringContaining(`The stored result of '${label}' is damaged`);
    return expect.objectContaining({ type: 'note', level: 'warning', code: 'cache-damaged', message });
  }

  it('does not use a file that was cut off', async () => {
    const result = await damaged('main: pack tar', (path) => truncate(join(path, 'file'), 1000));
    expect(result.events).toContainEqual(warning('main: pack tar'));
    expect(result.stderr).toContain("warning: The stored result of 'main: pack tar' is damaged");
  });

  it('does not use a file of the right size and time with another content', async () => {
    const result = await damaged('main: pack tar', async (path) => {
      const file = join(path, 'file');
      const { mtime, atime } = await stat(file);
      const data = await readFile(file);
      await writeFile(file, data.fill('x', 1000, 1010));
      await utimes(file, atime, mtime);
    });
    expect(result.events).toContainEqual(warning('main: pack tar'));
  });

  it('does not use a tree that lacks a file', async () => {
    const result = await damaged('main: apply first-boot settings', async (path) => {
      await rm(join(path, 'tree/etc/hostname'));
      // Otherwise nobody reads the tree.
      for (const packed of await entries('main: pack tar')) await rm(packed.path, { recursive: true });
    });
    expect(result.events).toContainEqual(warning('main: apply first-boot settings'));
  });

  it('is mended by verify: files that were changed, cut off or lost', async () => {
    const project = await bench.project(`${tar}Hostname=mended\n`);
    const env = { XDG_CACHE_HOME: join(bench.directory, 'cache-verify') };
    expect((await bench.run(project, ['build'], { env })).code).toBe(0);
    expect((await bench.run(project, ['cache', 'verify'], { env })).stdout).toMatch(/removed 0\n$/);
    const store = join(env.XDG_CACHE_HOME, 'mkimg/store');
    const pool = join(env.XDG_CACHE_HOME, 'mkimg/packages');
    const packages = (await readdir(pool)).sort();
    await truncate(join(pool, packages[0] ?? ''), 100);
    const flipped = await readFile(join(pool, packages[1] ?? ''));
    await writeFile(join(pool, packages[1] ?? ''), flipped.fill(1, 100, 101));
    const keys = (await readdir(store)).filter((name) => name !== '.staging');
    const trees = await Promise.all(
      keys.map(async (key) => ((await readdir(join(store, key))).includes('tree') ? [key] : [])),
    );
    const [lost = ''] = trees.flat();
    const [within = ''] = await readdir(join(store, lost, 'tree'));
    await rm(join(store, lost, 'tree', within), { recursive: true });
    const verified = await bench.run(project, ['cache', 'verify'], { env });
    expect(verified.code).toBe(1);
    expect(verified.stdout).toMatch(/; removed 3\n$/);
    expect(await readdir(pool)).toEqual(packages.slice(2));
    expect(await readdir(store)).not.toContain(lost);
    expect((await bench.run(project, ['cache', 'verify'], { env })).code).toBe(0);
    expect((await bench.run(project, ['-f', 'build'], { env })).code).toBe(0);
  });

  it('takes an entry with garbage in its record for none', async () => {
    const result = await damaged('main: pack tar', (path) =>
      writeFile(join(path, 'record.json'), '{"format": 1'),
    );
    expect(result.events.filter(({ type }) => type === 'step-started')).toHaveLength(1);
  });

  it('replaces an output that was changed after it was built, with a note', async () => {
    const project = await bench.project(tar);
    const place = join(project, 'image.tar.zst');
    expect((await bench.run(project, ['build'])).code).toBe(0);
    const intact = await readFile(place);
    await writeFile(place, 'changed by the user');
    const result = await bench.run(project, ['build']);
    expect(result.code).toBe(0);
    expect(result.stderr).toContain('warning: image.tar.zst was changed after it had been built');
    expect((await readFile(place)).equals(intact)).toBe(true);
    expect((await bench.run(project, ['build'])).stderr).toContain('Up to date');
  });
});
